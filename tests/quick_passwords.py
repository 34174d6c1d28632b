"""A password hasher for tests."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Django's own with one round instead of a million.

    The count stands in the hash, so that a server process with the real settings accepts it too.
    """

    iterations = 1
