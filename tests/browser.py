"""Headless Chromium for tests: the DOM of a page, its console messages and the requests that it makes."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """The path of a browser, if this machine has one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class LoadedPage:
    """A page as loaded."""

    dom: str
    console: list[str]
    """What the page made the browser write to its console."""


def load_page(browser: str, page: Path, profile: Path) -> LoadedPage:
    """Load a file."""
    done = subprocess.run(
        [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
            "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "HOME": str(profile)},
    )  # fmt: skip
    return LoadedPage(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


@contextmanager
def request_recorder() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and the paths that are requested of it."""
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requested
    finally:
        server.shutdown()
        server.server_close()
