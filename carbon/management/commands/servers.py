"""`manage.py servers`: the embedded PostgreSQL and broker of this clone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from carbon.embedded.broker import BrokerServer
from carbon.embedded.errors import EmbeddedServerError
from carbon.embedded.postgres import PostgresServer
from carbon.services import stop_command

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Start, stop, show or remove the embedded servers of this clone; commands start them by themselves."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["start", "stop", "status", "remove"])

    def handle(self, *, action: str, **_options: Any) -> None:  # noqa: ANN401 Django's own options
        postgres, broker = PostgresServer(settings.STATE_DIR), BrokerServer(settings.STATE_DIR)
        servers: dict[str, PostgresServer | BrokerServer] = {"PostgreSQL": postgres, "broker": broker}
        try:
            if action in {"stop", "remove"} and stop_command(settings.STATE_DIR):
                self.stderr.write("services stopped")
            for name, server in servers.items():
                self._apply(action, name, server)
        except EmbeddedServerError as error:
            raise CommandError(str(error)) from error

    def _apply(self, action: str, name: str, server: PostgresServer | BrokerServer) -> None:
        match action:
            case "start":
                self.stderr.write(f"{name}: {server.ensure()}")
            case "stop":
                server.stop()
                self.stderr.write(f"{name}: stopped")
            case "remove":
                server.remove()
                self.stderr.write(f"{name}: removed")
            case _:
                self.stderr.write(f"{name}: {'running' if server.ready() else 'stopped'}")
