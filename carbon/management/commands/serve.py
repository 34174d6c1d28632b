"""`manage.py serve`: worker, clock and API server together, until Ctrl-C."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from carbon.environment import ENV
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
    from collections.abc import Iterable


class Command(BaseCommand):
    help = "Run a worker and the API server until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="TCP port")
        parser.add_argument("--processes", type=int, default=2, help="tasks that the worker runs side by side")

    def handle(self, *, host: str, port: int, processes: int, **_options: Any) -> None:  # noqa: ANN401 Django's
        self._check_migrations()
        check_port(host, port)
        try:
            with stop_requests(), sole_command(settings.STATE_DIR):
                self._serve(host, port, processes)
        except StopRequestedError as stopped:
            self.stderr.write(f"stopped ({stopped})")
        except ServiceError as error:
            raise CommandError(str(error)) from error

    def _serve(self, host: str, port: int, process_count: int) -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        services = Services(
            settings.STATE_DIR,
            [worker(process_count=process_count), beat(), api(host, port)],
            environment=debug_on_loopback(host),
            show=self.stderr.write,
        )
        with services:
            services.wait_for(lambda: answers(f"{url}/health/live"), "the API server")
            services.wait_for(worker_answers, "the worker")
            self.stderr.write(f"Canopy serves {url}/graphql/ and {url}/admin/; Ctrl-C ends it")
            services.run_until_stopped()

    @staticmethod
    def _check_migrations() -> None:
        count = unapplied_migrations()
        if count:
            raise CommandError(f"{count} migrations are not applied: manage.py migrate")
        connections[DEFAULT_DB_ALIAS].close()  # it would idle for hours


def unapplied_migrations() -> int:
    """How many migrations the database still lacks."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def check_port(host: str, port: int) -> None:
    """See that nobody listens there.

    Raises:
        CommandError: somebody does, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        # As the server will: a port that only waits for its last connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"{host} port {port}: {error.strerror}; choose another with --port") from error


def first_free_port(host: str, ports: Iterable[int]) -> int:
    """Return the first of these ports on which nobody listens.

    Raises:
        CommandError: somebody listens on each of them.
    """
    refused = CommandError("no port was named")
    for port in ports:
        try:
            check_port(host, port)
        except CommandError as error:
            refused = error
        else:
            return port
    raise refused


def debug_on_loopback(host: str) -> dict[str, str]:
    """Debug mode (GraphiQL, error pages) for the embedded mode where only this machine can connect.

    Args:
        host: the address that is listened on.

    Returns:
        The variables to add; CANOPY_DEBUG, where set, decides alone.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not (settings.EMBEDDED and loopback):
        return {}
    return {"CANOPY_DEBUG": ENV.str("CANOPY_DEBUG", "1")}
