"""``espalier login`` and ``logout``: a key is tried, kept for its service alone, and readable by its owner alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.app import create_app
from espalier.cli.credentials import key_file, key_for, stored_key
from espalier.cli.main import app
from espalier.errors import EspalierError
from service.access import api_keys
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.serving import serving


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ESPALIER_API_KEY", raising=False)


@pytest.fixture
def guarded(jobs: Jobs, tmp_path: Path) -> Iterator[str]:
    with serving(create_app(Settings(data_dir=tmp_path, database_url=jobs.database.url, require_keys=True))) as at:
        yield at


@pytest.fixture
def key(jobs: Jobs) -> str:
    with jobs.database.write() as session:
        return api_keys.create(session, name="mine", owner="local", scopes=[*api_keys.Scope])[1]


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=typed)


def test_a_key_that_was_left_is_used_until_it_is_forgotten(guarded: str, key: str) -> None:
    assert run("jobs", "--url", guarded).exit_code != 0
    done = run("login", "--url", f"{guarded}/", typed=f"{key}\n")
    assert done.exit_code == 0, done.output
    assert key not in done.output
    file = key_file()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert run("jobs", "--url", guarded).exit_code == 0
    assert run("jobs", "--url", guarded, "--api-key", "esp_other").exit_code != 0, "a key that is given goes first"
    assert stored_key("http://other.test") is None
    assert run("logout", "--url", guarded).exit_code == 0
    assert not file.exists()
    assert json.loads(run("logout", "--url", guarded, "--json").stdout)["forgotten"] is False


def test_a_key_that_the_service_does_not_know_is_not_kept(guarded: str) -> None:
    refused = run("login", "--url", guarded, typed="esp_wrong\n")
    assert getattr(refused.exception, "code", None) == "key_unknown"
    assert not key_file().exists()


def test_a_file_that_others_may_read_or_that_is_damaged_is_refused(guarded: str, key: str) -> None:
    run("login", "--url", guarded, typed=key)
    key_file().chmod(0o640)
    with pytest.raises(EspalierError, match="chmod 600"):
        key_for(guarded, None)
    key_file().write_text("{")
    key_file().chmod(0o600)
    with pytest.raises(EspalierError, match="espalier login"):
        key_for(guarded, None)
