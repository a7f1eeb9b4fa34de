"""Fixtures of the page tests: a service without keys, and one that asks for them."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from api.app import create_app
from service.db.engine import Database
from service.settings import Settings
from tests.api.pages.browser_client import Browser
from tests.api.protected_app import Keyring


@pytest.fixture
def browser(settings: Settings) -> Iterator[Browser]:
    """Of a service on loopback without keys."""
    browser = Browser(create_app(settings))
    with browser.http:
        yield browser


@pytest.fixture
def protected(settings: Settings) -> Iterator[FastAPI]:
    """An application that requires keys."""
    # on PostgreSQL a secret key is not made by itself
    changes = {"require_keys": True, "secret_key_file": settings.data_dir / "secret.key"}
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "secret.key").write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    app = create_app(settings.model_copy(update=changes))
    with Browser(app).http:
        yield app


@pytest.fixture
def keys(database: Database) -> Keyring:
    return Keyring(database)
