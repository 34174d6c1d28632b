"""A migrated, empty database to begin with, made once for a set of migrations: migrating takes long."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from carbon.embedded.postgres import DISTRIBUTION, PostgresServer
from carbon.environment import CLONE_DIR


def begin_migrated(base: Path) -> None:
    """Bring the embedded database of the settings up to date, from a copy in the base folder where there is one."""
    template = base / f"template-{_digest()}"
    server = PostgresServer(settings.STATE_DIR)
    data = _data_folder()
    if template.is_dir():
        server.stop()
        shutil.rmtree(data)
        _copy(template, data)
        return
    call_command("migrate", verbosity=0)
    connection.close()
    server.stop()
    draft = base / f"draft-{settings.STATE_DIR.parent.name}"
    _copy(data, draft)
    if template.is_dir():  # another campaign was first
        shutil.rmtree(draft)
    else:
        draft.rename(template)


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
    """What the result of migrating depends on."""
    digest = hashlib.sha256(importlib.metadata.version(DISTRIBUTION).encode())
    for name in ("accounts", "allocation"):
        for path in sorted((CLONE_DIR / name / "migrations").glob("*.py")):
            digest.update(path.read_bytes())
    digest.update((CLONE_DIR / "requirements/runtime.txt").read_bytes())
    return digest.hexdigest()[:16]
