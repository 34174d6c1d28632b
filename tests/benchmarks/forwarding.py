"""TCP connections passed on to a port or socket that only this host can reach."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BYTES = 1 << 18


@contextlib.contextmanager
def forward(listening: tuple[str, int], to: tuple[str, int] | str, ends: threading.Event) -> Iterator[None]:
    """Listen on an address and pass each connection on, to (host, port) or to a socket file, until it ends."""
    with socket.create_server(listening) as server:
        server.settimeout(0.5)

        def accept() -> None:
            while not ends.is_set():
                with contextlib.suppress(TimeoutError):
                    near, _ = server.accept()
                    far = socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET)
                    far.connect(to)
                    for source, target in ((near, far), (far, near)):
                        threading.Thread(target=_pump, args=(source, target), daemon=True).start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield
        finally:
            ends.set()
            accepting.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK_BYTES):
            target.sendall(block)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
