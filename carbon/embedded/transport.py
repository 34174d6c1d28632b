"""Celery's transport to the embedded broker, which the first connection starts.

A hook on connecting, not on start-up: a broker that was killed comes back with the next attempt
of any worker or publisher.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Transport as RedisTransport

from carbon.embedded.broker import BrokerServer
from carbon.embedded.errors import EmbeddedServerError

SCHEME = "canopy"
# kombu finds a transport by the scheme of the URL.
TRANSPORT_ALIASES[SCHEME] = "carbon.embedded.transport:Transport"


class Transport(RedisTransport):
    """Redis over the embedded server's socket."""

    def establish_connection(self) -> Any:  # noqa: ANN401 as in kombu
        """See that the server runs, then connect."""
        options = self.client.transport_options if self.client else None
        if not options:
            raise OperationalError("the transport option embedded_state_dir is missing")
        try:
            BrokerServer(Path(options["embedded_state_dir"])).ensure()
        except EmbeddedServerError as error:
            raise OperationalError(str(error)) from error
        return super().establish_connection()


def embedded_url(server: BrokerServer, database: int = 0) -> str:
    """The broker URL of the embedded server, for Celery processes of this project.

    Args:
        server: the server; it need not run.
        database: 0 for the clone itself, 1 to 63 for tests.
    """
    return f"{SCHEME}+socket://{server.socket}?virtual_host={database}"
