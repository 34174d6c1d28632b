"""The `accounts` app: who and where."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Enterprises, directories, groups, accounts, grants, and what a viewer may see in which month."""

    name = "accounts"
    verbose_name = "Hierarchy and access"
