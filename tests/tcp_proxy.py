"""TCP proxy that a test can cut without either end noticing."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from sqlalchemy.engine import make_url


class TcpProxy:
    """Forwards TCP connections to the server of the database ``url``, as long as its block lasts."""

    def __init__(self, url: str) -> None:
        near = make_url(url)
        self._server = (near.host or "127.0.0.1", near.port or 5432)
        self._listening = socket.create_server(("127.0.0.1", 0))
        far = near.set(host="127.0.0.1", port=self._listening.getsockname()[1])
        self.url = far.render_as_string(hide_password=False)
        """Of the same database, through here."""
        self._ends: list[socket.socket] = []
        self._cut: set[socket.socket] = set()
        self.discarded_data = threading.Event()
        """Something was sent into a connection after it was cut."""

    def cut(self) -> None:
        """From now on nothing comes through the connections there are, and nothing tells of it; new ones work."""
        self._cut.update(self._ends)

    def disconnect(self) -> None:
        """End the connections there are, as a proxy that restarts does; new ones work."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):  # one that its peer has ended
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "TcpProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listening, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # to close it would not wake the thread that waits for it
            end.close()

    def _accept(self) -> None:
        for client in self._clients():
            server = socket.create_connection(self._server)
            self._ends += (client, server)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _clients(self) -> Iterator[socket.socket]:
        with contextlib.suppress(OSError):  # the block is over
            while True:
                yield self._listening.accept()[0]

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if one in self._cut:
                    self.discarded_data.set()
                else:
                    other.sendall(data)
            if one not in self._cut:
                other.shutdown(socket.SHUT_WR)
