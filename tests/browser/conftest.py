"""Fixtures of the browser tests: one Chromium for all of them, visitors, and services with and without keys.

Where the machine has no Chromium or no Playwright the tests are skipped; where ``CI=true`` they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from api.app import create_app
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.api.protected_app import Keyring
from tests.browser.chromium import debugged_browser, find_browser
from tests.serving import serving

try:
    from playwright.sync_api import Browser, sync_playwright

    from tests.browser.visitor import Visitor
except ModuleNotFoundError:
    collect_ignore_glob = ["test_*.py"]
    if os.environ.get("CI") == "true":
        raise


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it takes commands."""
    found = find_browser()
    if found is None:
        reason = "this machine has no Chromium (apt-get install chromium, or name one in ESPALIER_CHROMIUM)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with debugged_browser(found, tmp_path_factory.mktemp("chromium")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator["Browser"]:
    """Of a module and no longer: Playwright keeps an event loop in the thread, where other tests run theirs."""
    with sync_playwright() as playwright:
        yield playwright.chromium.connect_over_cdp(chromium)


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., "Visitor"]]:
    """Visitors of the service at an address, each with cookies of its own; in the end none may have anything to complain of."""
    visitors: list[Visitor] = []

    def visit(url: str, *, scheme: Literal["light", "dark"] = "light", width: int = 1280) -> Visitor:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        context.set_default_timeout(30_000)
        visitors.append(Visitor(context, url))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.context.close()
    assert [fault for visitor in visitors for fault in visitor.faults] == []


@pytest.fixture
def database_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """SQLite alone: what a browser shows is the same with either."""
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def jobs(database: Database, tmp_path: Path) -> Jobs:
    return Jobs(database, tmp_path)


@pytest.fixture
def keys(database: Database) -> Keyring:
    return Keyring(database)


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """A service on loopback without keys."""
    with serving(create_app(settings)) as url:
        yield url


@pytest.fixture
def protected(settings: Settings) -> Iterator[str]:
    """A service that requires keys."""
    with serving(create_app(settings.model_copy(update={"require_keys": True}))) as url:
        yield url
