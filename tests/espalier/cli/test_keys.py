"""``espalier keys`` and ``espalier db`` on a database of either kind."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from espalier.cli.main import app
from espalier.errors import EspalierError
from service.access import api_keys
from service.db.engine import Database
from service.errors import InvalidKeyError

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> None:
    """The environment of a service on ``database_url``."""
    monkeypatch.setenv("ESPALIER_DATABASE_URL", database_url)
    monkeypatch.setenv("ESPALIER_DATA_DIR", str(tmp_path))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def printed(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.usefixtures("here")
def test_create_list_revoke(database: Database) -> None:
    made = printed("keys", "create", "ci", "--owner", "team-a", "--scope", "jobs:read", "--expires-days", "2")
    key = made.pop("key")
    assert (made["name"], made["owner"], made["scopes"]) == ("ci", "team-a", ["jobs:read"])
    assert made["expires_at"] > made["created_at"]
    with database.read() as session:
        assert api_keys.find(session, key)[0].id == made["id"]
    assert printed("keys", "list") == [made]
    assert "team-a" in run("keys", "list").stdout
    assert printed("keys", "revoke", made["id"])["revoked_at"] is not None
    assert run("keys", "revoke", made["id"]).exit_code == 0
    with database.read() as session, pytest.raises(InvalidKeyError):
        api_keys.find(session, key)


@on_one_database
@pytest.mark.usefixtures("here")
def test_only_the_key_is_printed_to_standard_output(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        done = run("keys", "create", "ci")
    key = done.stdout.strip()
    assert api_keys.is_well_formed(key)
    assert done.stderr
    assert key not in done.stderr
    assert key not in caplog.text
    with database.read() as session:
        row, _ = api_keys.find(session, key)
    assert (row.owner, row.scopes) == ("local", "jobs:read jobs:write")


@on_one_database
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "ci", "--scope", "jobs:all"], "jobs:all"),
        (["create", "ci", "--owner", "a b"], "owner 'a b'"),
        (["create", ""], "name must be"),
        (["revoke", "key_none"], "There is no key key_none"),
    ],
)
def test_invalid_key_commands_are_refused(arguments: list[str], words: str) -> None:
    done = run("keys", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_database_without_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPALIER_DATA_DIR", str(tmp_path))
    refused = run("keys", "list").exception
    assert isinstance(refused, EspalierError)
    assert "espalier db upgrade" in str(refused)
    assert run("db", "upgrade").exit_code == 0
    assert printed("keys", "list") == []
    elsewhere = run("keys", "list", "--data-dir", str(tmp_path / "other")).exception
    assert isinstance(elsewhere, EspalierError)
