"""People and machines that sign in."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person or a machine client. Our own class from the first migration on, since it cannot be swapped later."""
