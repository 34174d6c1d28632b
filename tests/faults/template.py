"""A database to begin with, migrated and with packages in it; made once for a state of the code: it takes long."""

from __future__ import annotations

import hashlib
import importlib.metadata
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from carbon.embedded.postgres import DISTRIBUTION, PostgresServer
from carbon.environment import CLONE_DIR
from tests.faults.units import FOLDER, Shown, Unit, shown, units


class Work(NamedTuple):
    """What a campaign works on: packages to allocate, and the month that is restated."""

    units: list[Unit]
    shown: Shown


def begin_prepared(base: Path, count: int) -> Work:
    """Migrate the embedded database of the settings and load packages, or copy that where it was done before.

    Args:
        base: folder of the copies.
        count: how many packages to allocate.
    """
    template = base / f"template-{_digest()}-{count}"
    server = PostgresServer(settings.STATE_DIR)
    data = _data_folder()
    if template.is_dir():
        server.stop()
        shutil.rmtree(data)
        _copy(template / "data", data)
        work: Work = pickle.loads((template / "work").read_bytes())  # noqa: S301 written below
        return work
    call_command("migrate", verbosity=0)
    draft = base / f"draft-{settings.STATE_DIR.parent.name}"
    draft.mkdir()
    work = Work(units(draft / "packages", count), shown(draft / "packages"))
    connection.close()
    server.stop()
    _copy(data, draft / "data")
    (draft / "work").write_bytes(pickle.dumps(work))
    if template.is_dir():  # another campaign was first
        shutil.rmtree(draft)
    else:
        draft.rename(template)
    return work


def _data_folder() -> Path:
    """PostgreSQL's data folder; asking starts the server."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        folder = Path(cursor.fetchone()[0])
    connection.close()
    return folder


def _copy(source: Path, target: Path) -> None:
    """Copy a folder with owners and modes."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _digest() -> str:
    """What the result depends on."""
    digest = hashlib.sha256(importlib.metadata.version(DISTRIBUTION).encode())
    sources = [path for name in ("accounts", "allocation") for path in (CLONE_DIR / name).rglob("*.py")]
    sources += [Path(__file__).with_name("units.py"), *(path for path in FOLDER.rglob("*") if path.is_file())]
    for path in sorted(sources):
        digest.update(path.read_bytes())
    digest.update((CLONE_DIR / "requirements/runtime.txt").read_bytes())
    return digest.hexdigest()[:16]
