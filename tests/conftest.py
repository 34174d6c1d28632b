"""What all tests share: a real PostgreSQL, and where asked a real worker and a real API server.

The embedded servers of the clone are used (DATABASE_URL and CELERY_BROKER_URL replace them); every
pytest-xdist process has a database and queues of its own.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from carbon.celery import app, configure
from carbon.embedded.broker import BrokerServer
from carbon.embedded.transport import embedded_url
from carbon.services import Service, Services, answers, api, end_leftovers, worker, worker_answers
from tests.migrated_template import ensure_template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest_django

XDIST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
# 0 belongs to the clone itself; see DATABASE_COUNT of the embedded broker.
BROKER_DATABASE = 1 + int(XDIST_WORKER.removeprefix("gw")) % 63
QUEUE_PREFIX = f"test-{XDIST_WORKER}"
_LONGEST_TASK_SECONDS = 60
SERVICES_MARK = f"tests {settings.STATE_DIR} {XDIST_WORKER}"


def pytest_configure() -> None:
    """Keep the tests' passwords cheap and their messages apart from the clone's own."""
    settings.PASSWORD_HASHERS = ["tests.quick_passwords.QuickHasher"]
    settings.CELERY_QUEUE_PREFIX = QUEUE_PREFIX
    # Tests ask more in a minute than anybody may; that of throttling switches it on.
    settings.GRAPHQL_REQUESTS_PER_MINUTE = 0
    configure(app)
    if not os.environ.get("CELERY_BROKER_URL"):
        app.conf.update(broker_url=embedded_url(BrokerServer(settings.STATE_DIR), BROKER_DATABASE))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes: begun last, it would keep all other processes waiting for one."""
    items.sort(key=lambda item: item.get_closest_marker("minutes") is None)


def pytest_sessionstart() -> None:
    """End the worker of a killed test run: it would hold the database that is created anew."""
    end_leftovers(SERVICES_MARK)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None,  # noqa: ARG001 extends the fixture of this name
    django_db_blocker: pytest_django.DjangoDbBlocker,
) -> None:
    """Copy the test database from one that is migrated."""
    with django_db_blocker.unblock():
        connection.settings_dict["TEST"]["TEMPLATE"] = ensure_template()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> None:  # noqa: ARG001 extends the fixture of this name
    """Let pytest-django empty the audit log between tests that commit; the test of that trigger enables it again."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER audit_no_truncate")


def live_environment() -> dict[str, str]:
    """The variables with which a process works on this test run's database and queues."""
    name = str(connection.settings_dict["NAME"])
    variables = {
        "CANOPY_EMBEDDED_DATABASE": name,
        "CANOPY_EMBEDDED_BROKER_DATABASE": str(BROKER_DATABASE),
        "CANOPY_QUEUE_PREFIX": QUEUE_PREFIX,
        "CANOPY_SECRET_KEY": settings.SECRET_KEY,
        "CANOPY_ALLOWED_HOSTS": "localhost,127.0.0.1",
        "CANOPY_HTTPS": "0",
        # What a test leaves abandoned on purpose is not to be taken up by the worker of another test.
        "CANOPY_SWEEP_SECONDS": "0",
        "CANOPY_REQUESTS_PER_MINUTE": "0",
    }
    if not settings.EMBEDDED:
        variables["DATABASE_URL"] = urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    return variables


def live_services(logs: Path, *services: Service) -> Services:
    """Services of this test run; a with statement starts and ends them."""
    return Services(logs, services, environment=live_environment(), mark=SERVICES_MARK)


@dataclass(frozen=True)
class LiveWorker:
    """A running Celery worker.

    Attributes:
        log: the file with what it says.
    """

    log: Path


@pytest.fixture(scope="session")
def _worker_process(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorker]:  # noqa: ARG001 the worker ends before the database is dropped
    if not os.environ.get("CELERY_BROKER_URL"):
        # What a killed run left, also what its worker had taken and not acknowledged.
        broker = BrokerServer(settings.STATE_DIR)
        broker.ensure()
        with broker.client(BROKER_DATABASE) as client:
            client.flushdb()
    base = worker(process_count=1)
    service = Service(base.name, (*base.arguments, "--include=tests.worker_probe"))
    with live_services(tmp_path_factory.mktemp("worker"), service) as services:
        services.wait_for(worker_answers, "the worker")
        yield LiveWorker(services.log(service))


@pytest.fixture
def live_worker(transactional_db: None, _worker_process: LiveWorker) -> Iterator[LiveWorker]:  # noqa: ARG001 the worker sees committed rows only
    """A real worker process on the test database: what the test commits, its tasks see.

    One process serves the whole session; its queues are emptied before each test, and after it.
    """
    app.control.purge()
    yield _worker_process
    let_worker_end()


def let_worker_end() -> None:
    """Wait for what the worker is at: emptying the tables beside it could end in a deadlock."""
    app.control.purge()
    deadline = time.monotonic() + _LONGEST_TASK_SECONDS
    while any((app.control.inspect(limit=1).active() or {}).values()):
        if time.monotonic() > deadline:
            raise TimeoutError("the worker goes on working after the end of its test")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def _api_process(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001 as above
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    with live_services(tmp_path_factory.mktemp("api"), api("127.0.0.1", port)) as services:
        services.wait_for(lambda: answers(f"{url}/health/live"), "the API server")
        yield url


@pytest.fixture
def live_api(transactional_db: None, _api_process: str) -> str:  # noqa: ARG001 the server sees committed rows only
    """The address of a real ASGI server on the test database, such as `http://127.0.0.1:40000`."""
    return _api_process


@pytest.fixture
def committed(transactional_db: None, request: pytest.FixtureRequest) -> Iterator[None]:  # noqa: ARG001 what the test commits, other connections see
    """Let the test commit; partitions and container totals, which Django does not manage, are dropped afterwards."""
    yield
    if "live_worker" in request.fixturenames:
        let_worker_end()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relname ~ '^allocation_(usagerow|usagesum|ledgerrow|accounttotal)_[0-9]+$'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {table}")
        cursor.execute("TRUNCATE allocation_containertotal")
        # Django empties all tables now; some of ours refuse that, as they should. It closes the connection afterwards.
        cursor.execute("SET session_replication_role = replica")
