"""The operating-system account under which an embedded server runs.

PostgreSQL refuses to run as root. When we are root, its commands run as an existing account
without privileges; otherwise everything runs as ourselves.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from carbon.embedded.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# `nobody` before `postgres`: the latter owns the data of Debian's own server, where there is one.
UNPRIVILEGED_NAMES = ("canopy", "nobody", "postgres")


@dataclass(frozen=True)
class Account:
    """One account: its name and its numeric user and group."""

    name: str
    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """Whether this process already runs under the account."""
        return self.uid == os.geteuid()

    def run(
        self,
        arguments: Sequence[str | Path],
        output: IO[bytes] | int = subprocess.DEVNULL,
        timeout_seconds: float = 120,
    ) -> int:
        """Run a command under the account, away from our terminal and with no pipe.

        A server started by the command inherits its output; a pipe would stay open with it and
        whoever reads the pipe would wait for ever.

        Args:
            arguments: the command and its arguments.
            output: a file for standard output and error.
            timeout_seconds: after this the command is killed.

        Returns:
            The exit code.

        Raises:
            EmbeddedServerError: the command cannot be run under this account or takes too long.
        """
        identity: dict[str, Any] = {} if self.is_self else {"user": self.uid, "group": self.gid, "extra_groups": []}
        try:
            return subprocess.run(  # noqa: S603 our own server binaries, no shell
                [os.fspath(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",  # a folder that every account may enter
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C on the terminal is not meant for the server
                umask=0o077,
                check=False,
                timeout=timeout_seconds,
                **identity,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise EmbeddedServerError(f"{arguments[0]} took more than {timeout_seconds} s") from error
        except OSError as error:
            raise EmbeddedServerError(f"cannot run {arguments[0]} as {self.name}: {error.strerror}") from error

    def can(self, arguments: Sequence[str | Path]) -> bool:
        """Whether a short command can be run under the account, and succeeds."""
        try:
            return self.run(arguments, timeout_seconds=20) == 0
        except EmbeddedServerError:
            return False  # a folder on the way is closed to it, or a file system runs no programs


def own_account() -> Account:
    """The account of this process.

    Raises:
        EmbeddedServerError: it has no name, as in a container started with a bare number.
            PostgreSQL cannot run then.
    """
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise EmbeddedServerError(
            f"the user {os.geteuid()} has no entry in the password file, PostgreSQL needs one; "
            "add it or set DATABASE_URL"
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def server_account() -> Account:
    """The account that runs PostgreSQL for us: ourselves, or an unprivileged one when we are root.

    Raises:
        EmbeddedServerError: root finds no unprivileged account.
    """
    if os.geteuid() != 0:
        return own_account()
    for name in UNPRIVILEGED_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root and none of the accounts {', '.join(UNPRIVILEGED_NAMES)} "
        "exists; create one or set DATABASE_URL"
    )
