"""Migrations up, down and up again; models and migrated tables agree; concurrent migrations."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.config import main as alembic_main
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import CheckConstraint, inspect, text

from service.artifacts import store
from service.db.engine import Database
from service.db.migrate import downgrade, is_current, migrating, upgrade
from service.db.models import Base, StoredObject
from service.jobs import exports
from tests import services
from tests.conftest import DATABASES
from tests.service import factories

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that was never migrated."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    request.getfixturevalue("postgres_url")  # skips where there is none
    with services.postgres() as url:
        yield url


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_up_down_up(empty_url: str) -> None:
    database = Database(empty_url)
    assert not is_current(database)
    for _ in range(2):
        upgrade(empty_url)
        assert is_current(database)
        assert tables(database) == {*Base.metadata.tables, "alembic_version"}
        downgrade(empty_url, "base")
        assert not is_current(database)
        assert tables(database) == {"alembic_version"}
    upgrade(empty_url)
    upgrade(empty_url)
    assert is_current(database)
    database.dispose()


def test_the_schema_of_a_later_version_can_be_used_and_that_of_an_earlier_one_not(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    for revision, usable in (("later_than_this", True), ("0001", False)):
        with database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        assert is_current(database) is usable
    database.dispose()


def test_the_models_equal_the_migrated_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_the_migrated_tables_have_every_check_and_foreign_key(database: Database) -> None:
    """Alembic's comparison does not compare CHECK constraints, nor at what a deletion takes along."""
    inspector = inspect(database.engine)
    for table in Base.metadata.sorted_tables:
        checks = {constraint.name for constraint in table.constraints if isinstance(constraint, CheckConstraint)}
        assert {check["name"] for check in inspector.get_check_constraints(table.name)} == checks
        assert {
            (key["name"], key["referred_table"], key["options"].get("ondelete")) for key in inspector.get_foreign_keys(table.name)
        } == {(key.name, key.referred_table.name, key.ondelete) for key in table.foreign_key_constraints}


_UPGRADE = "import sys; from service.db.migrate import upgrade; input(); upgrade(sys.argv[1])"


def test_concurrent_migrations_wait_for_each_other(empty_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _UPGRADE, empty_url], cwd=ROOT, text=True, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    database = Database(empty_url)
    assert is_current(database)
    database.dispose()


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(op, "create_index", break_down)  # the first table is made by then
    with pytest.raises(OSError, match="disk full"):
        upgrade(empty_url)
    database = Database(empty_url)
    assert tables(database) == set()
    monkeypatch.undo()
    upgrade(empty_url)
    assert is_current(database)
    database.dispose()


def test_the_alembic_command_works_and_finds_nothing_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_DATABASE_URL", f"sqlite:///{tmp_path}/cli.db")
    for command in (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"]):
        alembic_main(["-c", str(ROOT / "migrations" / "alembic.ini"), *command])  # exits on an error
    database = Database(f"sqlite:///{tmp_path}/cli.db")
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0
    database.dispose()


def test_altering_a_table_on_sqlite_keeps_dependent_rows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    upgrade(url)
    database = Database(url)
    job = factories.succeeded(database, tmp_path)
    with migrating(url) as connection, Operations(MigrationContext.configure(connection)).batch_alter_table("jobs") as table:
        table.alter_column("priority", nullable=True)
    assert len(factories.recorded_events(database, job.id)) == 3
    with database.read() as session:
        assert [artifact.name for artifact in store.list_for_job(session, job.id)] == [factories.MASK]
    database.dispose()


def test_a_downgrade_is_refused_while_artifacts_are_objects(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    upgrade(url)
    database = Database(url)
    job = factories.succeeded(database, tmp_path)
    with database.write() as session:
        stored = StoredObject(artifact_id=job.mask_artifact_id, storage="s3://bucket", name="artifacts/x")
        session.add(stored)
    with pytest.raises(RuntimeError, match=r"\b1 artifacts"):
        downgrade(url, "0007")
    with database.write() as session:
        session.delete(stored)
    downgrade(url, "0007")
    assert "objects" not in tables(database)
    database.dispose()


def test_a_downgrade_is_refused_while_export_jobs_exist(empty_url: str, tmp_path: Path) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    job = factories.succeeded(database, tmp_path)
    with database.write() as session:
        exports.request_export(session, job.id, {"csr": "export-csr.zip"})
    with pytest.raises(RuntimeError, match=r"\b1 jobs"):
        downgrade(empty_url, "0010")
    with database.write() as session:
        session.execute(text("DELETE FROM jobs WHERE export_of IS NOT NULL"))
    downgrade(empty_url, "0010")
    with database.read() as session:
        assert session.execute(text("SELECT status, mask_artifact_id IS NULL FROM jobs")).one() == ("succeeded", False)
    upgrade(empty_url)
    assert factories.load(database, job.id).mask_artifact_id == job.mask_artifact_id
    database.dispose()


def test_the_filter_columns_are_filled_in(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    specs = {
        factories.queued(database): ("acme/tiny", "sst2", "smp-s"),
        factories.queued(database, spec={"model": "acme/big", "task": {"dataset": "d"}, "method": None}): ("acme/big", None, None),
    }
    downgrade(empty_url, "0011")
    upgrade(empty_url)
    for job_id, expected in specs.items():
        job = factories.load(database, job_id)
        assert (job.model, job.task, job.method) == expected
    database.dispose()


def test_bytes_of_records_are_counted(empty_url: str) -> None:
    upgrade(empty_url)
    database = Database(empty_url)
    ids = [factories.running(database).id, factories.queued(database, metadata={"note": "ä" * 50})]
    counted = [factories.load(database, job_id).record_bytes for job_id in ids]
    assert min(counted) > 100
    downgrade(empty_url, "0012")
    upgrade(empty_url)
    assert [factories.load(database, job_id).record_bytes for job_id in ids] == counted
    database.dispose()


def test_a_migration_that_breaks_a_reference_is_rolled_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    upgrade(url)
    database = Database(url)
    factories.queued(database)
    with pytest.raises(RuntimeError, match="'jobs'"), migrating(url) as connection:
        connection.execute(text("DELETE FROM jobs"))
    assert factories.claim(database) is not None
    database.dispose()
