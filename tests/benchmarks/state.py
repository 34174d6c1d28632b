"""Servers of the benchmarks' own: figures are measured on an empty database, and nothing of the clone is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import django

from carbon.environment import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def own_servers() -> Iterator[Path]:
    """Start an embedded PostgreSQL for this run alone and set Django up on it; both are gone afterwards.

    What a killed run left is removed first. Django's settings are read here for the first time.
    """
    folder = state_dir() / "benchmarks"
    os.environ["CANOPY_STATE_DIR"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "carbon.settings"
    os.environ["CANOPY_LOG_LEVEL"] = "ERROR"
    os.environ.pop("DATABASE_URL", None)
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 needs the settings

    _remove(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    from django.core.management import call_command  # noqa: PLC0415 needs the settings
    from django.db import connections  # noqa: PLC0415 as above

    connections.close_all()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 no file of ours
        call_command("servers", "remove", stderr=nowhere)
    shutil.rmtree(folder, ignore_errors=True)
