"""Proxy that passes responses on and cuts connections after a given number of bytes."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit


class CuttingProxy:
    """Its ``url`` leads to the service at ``beyond``; connection i is cut after ``after[i]`` bytes, later ones are not cut."""

    def __init__(self, beyond: str, after: Sequence[int]) -> None:
        self.connections = 0
        self._beyond = (urlsplit(beyond).hostname, urlsplit(beyond).port)
        self._after = after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until it is closed."""
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                left = self._after[self.connections] if self.connections < len(self._after) else 1 << 60
                self.connections += 1
                far = socket.create_connection(self._beyond)
                threading.Thread(target=self._pass_on, args=(near, far, 1 << 60), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, left), daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket, left: int) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (piece := source.recv(min(left, 4096))):
                sink.sendall(piece)
                left -= len(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        sink.close()


@contextmanager
def cutting_proxy(beyond: str, *after: int) -> Iterator[CuttingProxy]:
    """A proxy that is closed when the block ends."""
    network = CuttingProxy(beyond, after)
    threading.Thread(target=network.serve, daemon=True).start()
    try:
        yield network
    finally:
        network.close()
