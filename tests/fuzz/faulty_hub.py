"""Model hub that answers wrongly: other statuses, HTML, cut bodies, wrong lengths, redirects, other ETags, odd JSON.

    python -m tests.fuzz.faulty_hub FOLDER SEED

Serves every folder of FOLDER as the model and the data set ``org/<name>``, and prints its URL. What is wrong with a name is drawn
from the seed and the name alone. Started by :mod:`tests.fuzz.__main__` in a process of its own, because its callers fork.
"""

import json
import random
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.fake_hub import FakeHub
from tests.fuzz.mutations import mutate_json
from tests.http_servers import Quiet

FAULTS = (
    "none",
    "none",
    "status",
    "status",
    "html",
    "cut",
    "short",
    "long",
    "loop",
    "nowhere",
    "elsewhere",
    "etag",
    "no etag",
    "no commit",
    "json",
    "json",
    "json",
    "hang up",
    "garbage",
    "slow",
)
_STATUSES = (204, 206, 301, 304, 400, 401, 403, 404, 406, 410, 416, 418, 429, 451, 500, 502, 503, 504, 599)
_SLOW_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """What goes wrong with requests for one name."""

    fault: str
    status: int
    of_api: bool
    """Whether the answers about the repository are wrong, else those with its files."""
    share: float
    """Of the requests that go wrong."""

    @classmethod
    def from_name(cls, seed: str, name: str) -> "Plan":
        """The same for the same seed and name."""
        source = random.Random(f"{seed}:{name}")
        return cls(source.choice(FAULTS), source.choice(_STATUSES), source.random() < 0.5, source.choice((0.3, 1, 1)))


class FaultyHub:
    """A fake hub over a folder of folders, with a plan for each."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.hub, self.seed, self._folder = FakeHub(), seed, folder
        self._source = random.Random(seed)

    def respond(self, path: str) -> tuple[int, dict[str, str], bytes, str]:
        """Status, headers and body of an answer, and what its connection does."""
        name = next((part for part in path.split("?")[0].split("/") if part.startswith("case-")), "")
        if not (self._folder / name).is_dir() or not name:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}", ""
        for full in (f"org/{name}", f"datasets/org/{name}"):
            if full not in self.hub.branches:
                self.hub.publish(full, self._folder / name)
        status, headers, body = self.hub.respond(path)
        plan = Plan.from_name(self.seed, name)
        if path.startswith("/api/") is plan.of_api and random.Random(f"{self.seed}{path}").random() < plan.share:
            return self._spoil(plan, path, status, headers, body)
        return status, headers, body, ""

    def _spoil(
        self, plan: Plan, path: str, status: int, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes, str]:
        fault = plan.fault
        if fault == "status":
            return plan.status, {"Retry-After": "1"}, b'{"error": "no"}', ""
        if fault == "html":
            return 200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html>Sign in</html>", ""
        if fault in ("loop", "nowhere", "elsewhere"):
            target = {"loop": path, "nowhere": "http://127.0.0.1:9/x", "elsewhere": "https://[::bad"}[fault]
            return 302, {"Location": target}, b"", ""
        if fault == "etag":
            return status, headers | {"ETag": f'"{time.monotonic_ns():040d}"'}, body, ""
        if fault in ("no etag", "no commit"):
            dropped = {"no etag": "ETag", "no commit": "X-Repo-Commit"}[fault]
            return status, {key: value for key, value in headers.items() if key != dropped}, body, ""
        if fault == "json" and "json" in headers.get("Content-Type", ""):
            value, _ = mutate_json(random.Random(f"{self.seed}{len(body)}"), json.loads(body))
            return status, headers, json.dumps(value).encode(), ""
        return status, headers, body, fault


def _handler(hub: FaultyHub) -> type[BaseHTTPRequestHandler]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_HEAD(self) -> None:
            self._send(with_body=False)

        def do_GET(self) -> None:
            self._send(with_body=True)

        def do_POST(self) -> None:
            self._send(with_body=True)

        def _send(self, *, with_body: bool) -> None:
            status, headers, body, fault = hub.respond(self.path)
            if fault in ("hang up", "garbage"):
                self.wfile.write(b"\x16\x03\x01 not HTTP\r\n\r\n" if fault == "garbage" else b"")
                self.close_connection = True
                return
            time.sleep(_SLOW_SECONDS if fault == "slow" else 0)
            length = len(body) + {"long": 100, "short": -(len(body) // 2)}.get(fault, 0)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(length)}.items():
                self.send_header(key, value)
            self.end_headers()
            if with_body and status not in (204, 304):
                self.wfile.write(body[: len(body) // 2] if fault == "cut" else body[:length])
            self.close_connection = fault in ("cut", "long")

    return Handler


def main() -> None:
    """Serve until standard input is closed."""
    folder, seed = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(FaultyHub(Path(folder), seed)))
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
