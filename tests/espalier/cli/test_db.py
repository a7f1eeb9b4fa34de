"""``espalier db check``: what it prints, its JSON, and its exit codes."""

import json
import runpy
from pathlib import Path

import pytest
from sqlalchemy import delete, text
from typer.testing import CliRunner, Result

from espalier.cli.main import EXIT_CODES, app
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.db.models import ArtifactChunk
from tests.service import factories

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPALIER_DATABASE_URL", database_url)
    monkeypatch.setenv("ESPALIER_DATA_DIR", str(tmp_path))


def check(*options: str) -> Result:
    return CliRunner().invoke(app, ["db", "check", *options])


def test_a_file_without_bytes(database: Database, tmp_path: Path) -> None:
    job = factories.succeeded(database, tmp_path)
    assert (check("--digests").exit_code, check().stdout) == (0, "")
    with database.write() as session:
        session.execute(delete(ArtifactChunk))
    done = check("--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert (report["files"], len(report["inconsistencies"]), report["leftovers"]) == (1, 1, [])
    assert job.id in report["inconsistencies"][0]["what"]
    assert job.id in check().stdout


def test_leftover_objects_are_named_and_no_fault(database: Database, storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_STORAGE_URL", storage_url)
    open_bucket(storage_url).put("artifacts/job_x/1/9-abc", [b"x"])
    done = check()
    assert (done.exit_code, done.stdout) == (0, "object artifacts/job_x/1/9-abc: no row needs it\n")


def test_an_unreachable_storage(database: Database, storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_STORAGE_URL", storage_url.replace("bucket-", "no-bucket-"))
    assert check().exit_code == 3


def test_a_database_of_a_later_version_is_left_as_it_is(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'later_than_this'"))
    upgraded = CliRunner().invoke(app, ["db", "upgrade"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("migrations", run_name="__main__")
    assert (upgraded.exit_code, ended.value.code) == (4, 4)
    assert 4 in EXIT_CODES
    for said in (upgraded.stderr, capsys.readouterr().err):
        assert "later_than_this" in said
        assert "Can't locate" not in said
    with database.read() as session:
        assert session.scalars(text("SELECT version_num FROM alembic_version")).all() == ["later_than_this"]
