"""The admin: find, search and read everything; start, publish, withdraw, lock and approve through services."""

from allocation.admin import activity, catalogue, exports, intensities, ledger, packages, publications, runs, targets

__all__ = ["activity", "catalogue", "exports", "intensities", "ledger", "packages", "publications", "runs", "targets"]
