"""`manage.py demo`: everything once, from an empty database to figures that two people read over HTTP."""

from __future__ import annotations

import contextlib
import io
import itertools
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils import timezone
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from carbon.demo.logins import demo_operator, prepare_logins
from carbon.demo.months import import_hierarchy, load_month, publish_months, read_demo, unpublished_months
from carbon.demo.questions import QuestionError, curl, roll_up
from carbon.embedded.broker import BrokerServer
from carbon.embedded.postgres import PostgresServer
from carbon.management.commands.serve import debug_on_loopback, first_free_port, unapplied_migrations
from carbon.services import (
    ServiceError,
    Services,
    StopRequestedError,
    answers,
    api,
    beat,
    sole_command,
    stop_requests,
    worker,
    worker_answers,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Iterator

    from allocation.exchange.estate.estates import Estate
    from carbon.demo.logins import Login
    from carbon.demo.months import Month
    from carbon.demo.questions import Row

WHOLE_PERIOD = ("2025-06", "2026-07")
HOST = "127.0.0.1"
PORTS = range(8000, 8100)
WORKER_PROCESSES = 2
TABLE_WIDTH = 112


class Command(BaseCommand):
    help = "Load the demo, allocate and publish 13 months of two providers, show a table, serve until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end after the table")
        parser.add_argument("--port", type=int, help="TCP port of the API; otherwise the first free one from 8000 on")

    def handle(self, *, once: bool, port: int | None, **_options: Any) -> None:  # noqa: ANN401 Django's
        if not (settings.EMBEDDED or settings.DEBUG):
            raise CommandError("the demo makes logins with known passwords: it runs on the embedded database only")
        ports = PORTS if port is None else (port,)
        first_free_port(HOST, ports)  # a port that is taken is better told before the data are loaded
        self._progress = Console(stderr=True)
        try:
            with stop_requests(), sole_command(settings.STATE_DIR):
                if count := unapplied_migrations():
                    self.stderr.write(f"preparing the database: {count} migrations")
                    call_command("migrate", verbosity=0)
                self._run(ports, once=once)
        except StopRequestedError as stopped:
            self.stderr.write(f"stopped ({stopped})")
        except (ServiceError, QuestionError) as error:
            raise CommandError(str(error)) from error
        finally:
            self._stop_servers()

    @staticmethod
    def _stop_servers() -> None:
        """The demo leaves nothing running, whoever started it."""
        connections.close_all()
        if settings.EMBEDDED:
            PostgresServer(settings.STATE_DIR).stop()
        BrokerServer(settings.STATE_DIR).stop()

    def _run(self, ports: Iterable[int], *, once: bool) -> None:
        """Bring the data in, have a worker divide them, and ask the API."""
        estate = read_demo()
        months = unpublished_months(estate)
        self._load(estate, months)
        connections.close_all()  # the children must not inherit an open connection
        port = first_free_port(HOST, ports)
        url = f"http://{HOST}:{port}"
        services = Services(
            settings.STATE_DIR,
            # Nothing falls due before the table is shown.
            [worker(process_count=WORKER_PROCESSES), *([] if once else [beat()]), api(HOST, port)],
            environment=debug_on_loopback(HOST),
        )
        with services:
            services.wait_for(worker_answers, "the worker")
            services.wait_for(lambda: answers(f"{url}/health/live"), "the API server")
            self._publish(months, services)
            logins = prepare_logins(timezone.now())
            connections.close_all()
            self._show(url, logins)
            if not once:
                self.stdout.write("\nServing; Ctrl-C ends it.")
                services.run_until_stopped()

    def _load(self, estate: Estate, months: list[Month]) -> None:
        with self._bar("hierarchy", 1) as step:
            import_hierarchy(estate)
            step("hierarchy")
        with self._bar("load packages", len(months)) as step:
            for month in months:
                load_month(estate, month)
                step(f"loaded {month.label}")

    def _publish(self, months: list[Month], services: Services) -> None:
        with self._bar("allocate and publish", len(months)) as step:
            for month in publish_months(months, demo_operator(), services.check):
                step(f"published {month.label}")

    @contextlib.contextmanager
    def _bar(self, what: str, count: int) -> Iterator[Any]:
        """A progress bar on stderr; plain lines where that is no terminal. Yields a function for each step done."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._progress, disable=not self._progress.is_terminal) as progress:
            task = progress.add_task(what, total=count)
            numbers = itertools.count(1)

            def step(text: str) -> None:
                progress.update(task, advance=1, description=text)
                if not self._progress.is_terminal:
                    self.stderr.write(f"{next(numbers):>3}/{count} {text}")

            yield step

    def _show(self, url: str, logins: list[Login]) -> None:
        """The table of each reader, and where to go on."""
        text = io.StringIO()
        out = Console(file=text, width=TABLE_WIDTH)
        out.print()
        endpoint = f"{url}/graphql/"
        readers = [login for login in logins if login.token]
        for login in readers:
            out.print(
                _table(
                    f"What {login.name} sees: {login.sees}, June 2025 to June 2026, tonnes CO2e",
                    roll_up(endpoint, login.token, *WHOLE_PERIOD),
                )
            )
        out.print()
        people = Table("login", "password", "sees", box=None)
        for login in logins:
            people.add_row(login.name, login.password, login.sees)
        out.print(people)
        self.stdout.write(text.getvalue())
        self.stdout.write(f"\nAdmin    {url}/admin/\nGraphiQL {endpoint}\n")
        self.stdout.write(curl(endpoint, readers[0].token))


def _table(title: str, rows: Iterable[Row]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("node", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for heading in ("location", "market", "MWh", "estimated"):
        table.add_column(heading, justify="right")
    table.add_column("status")
    for row in rows:
        table.add_row(
            "  " * row.depth + row.name,
            row.kind.lower().replace("_", " "),
            _thousands(row.location_kg),
            _thousands(row.market_kg),
            _thousands(row.electricity_kwh),
            "-" if row.estimated_share is None else f"{row.estimated_share:.1%}",
            row.status.lower().replace("_", " "),
        )
    return table


def _thousands(value: float | None) -> str:
    """A figure in a thousand times its unit; a dash where there is none, because a blank is not a zero."""
    return "-" if value is None else f"{value / 1000:,.1f}"
