"""Headless Chromium for tests: one process for Playwright to drive, or the DOM, messages and requests of a single page."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.http_servers import Quiet, serving
from tests.waiting import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
_CHOSEN = os.environ.get("ESPALIER_CHROMIUM")  # read now: tests take variables of this kind out of the environment


def find_browser() -> str | None:
    """The path of the browser that ``ESPALIER_CHROMIUM`` names, or of one that this machine has."""
    return _CHOSEN or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def debugged_browser(browser: str, profile: Path) -> Iterator[str]:
    """The address at which a browser takes commands (Chrome DevTools protocol) while the block runs."""
    environment = {**os.environ, "HOME": str(profile)}
    options = [*_OPTIONS, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen([browser, *options], stdout=log, stderr=log, env=environment, start_new_session=True)
    port = profile / "DevToolsActivePort"

    def is_ready() -> bool:
        assert process.poll() is None, f"{browser} ended: {(profile / 'log').read_text(errors='replace')[-500:]}"
        return port.exists() and port.read_text().count("\n") >= 1

    try:
        wait_until(is_ready, what=browser)
        yield f"http://127.0.0.1:{port.read_text().split()[0]}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it has no state to save, and its children are of its group
        process.wait()


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
            browser,
            *_OPTIONS,
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "HOME": str(profile)},
    )
    return LoadedPage(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


@contextmanager
def request_recorder() -> Iterator[tuple[str, list[str]]]:
    """The address of a server on this machine, and the paths that are requested of it."""
    requested: list[str] = []

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_response(204)
            self.end_headers()

    with serving(Handler) as url:
        yield url, requested
