"""A disk that can be full: a small one for new tables where we may mount one, else a limit on the size of files."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Protocol

from django.db import connection
from psycopg import sql

from carbon.embedded.account import server_account
from carbon.embedded.folders import outside_folder, owned_folder
from tests.faults.plant import children_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE_MIB = 1024
LOGGED_BYTES = 1 << 16
_FULL = re.compile("No space left on device|File too large")


def disk_folder(state: Path) -> Path:
    """Where the disk is mounted: PostgreSQL's account has to reach it."""
    return outside_folder(state) / "disk"


def seen_full(data: Path) -> int:
    """Return how often the log of the server with this data folder says that a disk was full."""
    text = (data.parent / "server.log").read_text(errors="replace")
    return len(_FULL.findall(text))


class Disk(Protocol):
    """Something that can be full for a while."""

    def full(self) -> contextlib.AbstractContextManager[None]:
        """Leave no byte free as long as the context lasts."""


class CappedFiles:
    """For accounts that may not mount: PostgreSQL's processes may not make any file larger, tables and log alike.

    A server that cannot write its log gives up; it recovers when it is started again, as on a disk that was full.
    """

    def __init__(self, data: Path) -> None:
        self._data = data

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Refuse writes beyond a limit, which processes that start meanwhile inherit; the log has some room left."""
        log = self._data.parent / "server.log"
        try:
            self._limit(str(log.stat().st_size + LOGGED_BYTES))
            yield
        finally:
            self._limit("unlimited")

    def _limit(self, size: str) -> None:
        """Set the soft limit of all processes of the server, as the account that they belong to."""
        try:
            first = int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return  # it has given up already
        for pid in (first, *children_of(first)):
            server_account().run(["prlimit", f"--pid={pid}", f"--fsize={size}:"])  # it may be gone by now


class SmallDisk:
    """The mounted file system, and the tablespace that new tables of the database go to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / "filler"

    @classmethod
    def mounted(cls, folder: Path) -> SmallDisk | None:
        """Mount it and use it; None where this account may not mount."""
        if os.geteuid() != 0:
            return None
        owned_folder(folder.parent, 0o711)
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0711", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        account = server_account()
        tables = folder / "tables"
        tables.mkdir(mode=0o700)
        os.chown(tables, account.uid, account.gid)
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(tables))))
            name = sql.Identifier(str(connection.settings_dict["NAME"]))
            cursor.execute(sql.SQL("ALTER DATABASE {} SET default_tablespace = 'small'").format(name))
        connection.close()
        return cls(folder)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte free, for a while."""
        try:
            with self._filler.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(1 << 16))
            with self._filler.open("ab", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"0")
            yield
        finally:
            self._filler.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Room that is left."""
        return shutil.disk_usage(self._folder).free


def unmount(folder: Path) -> None:
    """Take the file system away, if it is there."""
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
        folder.rmdir()
