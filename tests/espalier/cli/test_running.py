"""Commands next to a running service: they find it, and reading creates no database."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from espalier.cli.main import app
from espalier.cli.running import RunningService, _folder, registered, running_services


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, a register of its own, and no variable that names a service."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("ESPALIER_DATA_DIR", "ESPALIER_DATABASE_URL", "ESPALIER_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "here"
    assert list((tmp_path / "here").iterdir()) == [], "a command created something by looking"


def data_folder(folder: Path, migrated: Path) -> Path:
    folder.mkdir()
    (folder / "espalier.db").write_bytes(migrated.read_bytes())
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_keys_are_made_for_the_service_that_runs(tmp_path: Path, migrated_sqlite: Path) -> None:
    data = data_folder(tmp_path / "data", migrated_sqlite)
    with registered(RunningService("http://127.0.0.1:8123", data)):
        made = run("keys", "create", "ci")
        assert made.exit_code == 0, made.output
        assert str(data) in made.stderr
        listed = run("keys", "list")
        assert "ci" in listed.stdout
        doctor = run("doctor", "--json")
        assert "http://127.0.0.1:8123" in doctor.stdout
        assert str(data) in doctor.stdout
    assert "no database" in str(run("keys", "list").exception)


def test_of_several_services_one_must_be_named(tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (data_folder(tmp_path / name, migrated_sqlite) for name in ("one", "two"))
    with ExitStack() as stack:
        stack.enter_context(registered(RunningService("http://127.0.0.1:1", first)))
        monkeypatch.setattr(os, "getpid", lambda: 1)
        stack.enter_context(registered(RunningService("http://127.0.0.1:2", second)))
        refused = run("keys", "list")
        assert refused.exit_code == 2
        assert str(first) in refused.stderr
        assert str(second) in refused.stderr
        assert run("keys", "list", "--data-dir", str(first)).exit_code == 0
    assert list(running_services()) == []


def test_a_service_that_was_killed_is_forgotten() -> None:
    _folder().mkdir(parents=True)
    for name, content in (("7.json", '{"url": "http://127.0.0.1:1", "data_dir": "/gone"}'), ("8.json", "nonsense")):
        (_folder() / name).write_text(content)
    assert list(running_services()) == []
    assert list(_folder().iterdir()) == []


def test_a_register_that_cannot_be_written_costs_only_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with registered(RunningService("http://127.0.0.1:1", tmp_path)):
        assert list(running_services()) == []


@pytest.mark.parametrize("command", [["keys", "list"], ["keys", "create", "a"], ["doctor"], ["worker"]])
def test_looking_creates_no_database(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run(*command, "--data-dir", str(tmp_path / "empty")).exit_code != 0
    assert list((tmp_path / "empty").iterdir()) == []
