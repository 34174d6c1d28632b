"""The `allocation` app: how much."""

from django.apps import AppConfig


class AllocationConfig(AppConfig):
    """Activity packages, methodology versions, runs, ledger, roll-ups and publications."""

    name = "allocation"
    verbose_name = "Allocation"
