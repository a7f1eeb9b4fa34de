"""A receiver of webhooks on this machine, that answers as a test tells it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass
class WebhookReceiver:
    """What came in, and what is answered."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """For the next requests, in order; 204 when there are no more."""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, headers in lower case, body."""

    def verified(self, secret: str, number: int = -1) -> Any:
        """The payload of a request, once the standard's own library has accepted its signature."""
        _, headers, body = self.requests[number]
        return Webhook(secret).verify(body, headers)


@contextmanager
def webhook_receiver(*answers: int | tuple[int, dict[str, str]]) -> Iterator[WebhookReceiver]:
    """One that listens inside the block."""
    told = WebhookReceiver(answers=[(each, {}) if isinstance(each, int) else each for each in answers])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, headers = told.answers.pop(0) if told.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}/hook?a=b"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
