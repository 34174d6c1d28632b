"""Where the embedded servers keep their files, sockets and locks."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from carbon.embedded.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The kernel keeps 108 bytes for a socket's path (104 on macOS), the final zero included.
SOCKET_PATH_BYTES = 103
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"
# A comma separates hosts for libpq; spaces and percent signs have to be quoted in URLs.
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")


def path_digest(path: Path) -> str:
    """Twelve characters that tell one clone's folder from another's."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]


def outside_folder(state: Path, parent: Path = Path("/var/tmp")) -> Path:  # noqa: S108 ownership is checked by owned_folder
    """The folder for what cannot live in the state folder.

    Args:
        state: the state folder of the clone; its path makes the name unique.
        parent: a folder that every account may enter and that survives a reboot.
    """
    return parent / f"canopy-{os.geteuid()}-{path_digest(state)}"


def owned_folder(path: Path, mode: int) -> Path:
    """Make a folder of ours in a place where others may write, or refuse theirs.

    Args:
        path: the folder; its parent must exist.
        mode: permission bits, never writable for others.

    Raises:
        EmbeddedServerError: somebody else put something there.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=mode)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise EmbeddedServerError(f"{path} exists and is not ours; remove it")
    path.chmod(mode)
    return path


def remove_outside(state: Path, patterns: Sequence[str]) -> None:
    """Remove some of what lies outside, and the folder that holds it with the last of it."""
    outside = outside_folder(state)
    for pattern in patterns:
        for path in outside.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    with contextlib.suppress(OSError):  # not there, or something else is in it
        outside.rmdir()


def fits_socket(folder: Path) -> bool:
    """Whether a socket in the folder has a path that the kernel and all URLs take."""
    text = str(folder)
    return PLAIN_PATH.fullmatch(text) is not None and len(text) + 1 + len(LONGEST_SOCKET_NAME) <= SOCKET_PATH_BYTES


@contextlib.contextmanager
def locked(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold a lock between processes; the kernel releases it when its holder dies.

    Args:
        path: the lock file; it stays.
        timeout_seconds: how long to wait for another holder.

    Raises:
        EmbeddedServerError: another process held it all that time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_seconds
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(f"another process has held {path} for {timeout_seconds:.0f} s") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def holding(path: Path) -> Iterator[int | None]:
    """Hold a lock for a whole command, with our process number in the file.

    Yields:
        None if we hold it, else the process that does.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield int(os.pread(descriptor, 20, 0) or b"0")
            return
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield None
    finally:
        os.close(descriptor)


def held_by(path: Path) -> int | None:
    """The process that holds such a lock now, None if nobody does."""
    if not path.exists():
        return None
    with holding(path) as other_pid:
        return other_pid


def written(path: Path, text: str) -> Path:
    """Write a small file so that a reader sees the old text or the new one, never half."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
    return path


def tail(path: Path, line_count: int = 15) -> str:
    """The last lines of a log, for an error message; empty where there is no log."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-line_count:])
