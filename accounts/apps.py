"""The `accounts` app: who and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate

if TYPE_CHECKING:
    from typing import Any


class AccountsConfig(AppConfig):
    """Enterprises, directories, groups, accounts, grants, and what a viewer may see in which month."""

    name = "accounts"
    verbose_name = "Hierarchy and access"

    def ready(self) -> None:
        """Register the checks; after every migration, give the web role its rights on the tables that there are now."""
        import accounts.checks  # noqa: F401, PLC0415 imported for its effect, after the apps are there

        post_migrate.connect(_grant_tables, sender=self, dispatch_uid="accounts.web_role")


def _grant_tables(*, using: str, **_kwargs: Any) -> None:  # noqa: ANN401 a signal's arguments
    from accounts.web_role import grant_tables  # noqa: PLC0415 models are not there when apps are configured

    grant_tables(connections[using])
