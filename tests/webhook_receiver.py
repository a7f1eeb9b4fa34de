"""Webhook receiver on this machine, with responses that the test chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.http_servers import Quiet, serving


@dataclass
class WebhookReceiver:
    """What was received, and what is responded."""

    url: str = ""
    responses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """For the next requests, in order; 204 when there are no more."""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, headers in lower case, body."""

    def verified(self, secret: str, number: int = -1) -> Any:
        """The payload of a request, once the standard's own library has accepted its signature."""
        _, headers, body = self.requests[number]
        return Webhook(secret).verify(body, headers)


@contextmanager
def webhook_receiver(*responses: int | tuple[int, dict[str, str]]) -> Iterator[WebhookReceiver]:
    """A receiver that listens inside the block."""
    state = WebhookReceiver(responses=[(each, {}) if isinstance(each, int) else each for each in responses])

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, headers = state.responses.pop(0) if state.responses else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    with serving(Handler) as url:
        state.url = f"{url}/hook?a=b"
        yield state
