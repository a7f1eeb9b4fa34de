"""Transactions of both databases."""

import contextlib
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from service.db import engine
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.migrate import is_current
from service.db.models import Job
from tests.service import factories


def test_write_commits_at_the_end_and_rolls_back_on_an_exception(database: Database) -> None:
    kept = factories.queued(database)

    def delete_and_fail() -> None:
        with database.write() as session:
            session.execute(text("DELETE FROM jobs"))
            raise OSError("after the deletion")

    with pytest.raises(OSError, match="after the deletion"):
        delete_and_fail()
    assert factories.load(database, kept).id == kept


def test_a_read_transaction_is_one_snapshot(database: Database) -> None:
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0
        factories.queued(database)
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0


def test_sqlite_is_configured_for_sharing_and_durability(migrated_sqlite: Path) -> None:
    database = Database(f"sqlite:///{migrated_sqlite}")
    with database.read() as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("journal_mode", "foreign_keys", "synchronous")
        }
        timeout = session.execute(text("PRAGMA busy_timeout")).scalar_one()
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}
    assert timeout >= 10_000
    database.dispose()


def test_a_new_sqlite_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/data/espalier.db")
    with database.write() as session:
        session.execute(text("CREATE TABLE rows (id INTEGER)"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "data", *(tmp_path / "data").iterdir()]}
    assert modes.pop("data") == 0o700
    assert modes
    assert set(modes.values()) == {0o600}
    database.dispose()


def test_errors_do_not_quote_what_users_wrote(database: Database) -> None:
    job = factories.queued(database, metadata={"patient": "JOHN-DOE"})
    with pytest.raises(IntegrityError) as error, database.write() as session:
        session.execute(insert(Job).values(id=job, spec={"secret": "JOHN-DOE"}, owner="JOHN-DOE"))
    assert "INSERT INTO jobs" in str(error.value)
    assert "JOHN-DOE" not in str(error.value).split("[SQL:")[1]


def test_the_folder_of_a_sqlite_file_is_created(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/some/where/espalier.db")
    assert not is_current(database)
    assert (tmp_path / "some" / "where").is_dir()
    database.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_frozen_process_loses_its_locks(database: Database) -> None:
    with database.read() as session:
        assert session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "30s"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_writer_waits_for_its_turn_up_to_the_busy_timeout(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BUSY_MILLISECONDS", 1)
    with database.write(), pytest.raises(OperationalError) as caught, database.write():
        pass
    assert isinstance(caught.value.orig, TimeoutError)
    with database.write() as session:
        session.execute(select(now_sql()))


def test_a_read_connection_is_left_clean(database: Database) -> None:
    """On PostgreSQL it is made without a transaction; what follows on the same connection has one again."""
    kept = factories.queued(database)
    with database.read_connection() as connection:
        assert connection.execute(select(Job.id)).scalar_one() == kept
    with contextlib.suppress(OSError), database.write() as session:
        session.execute(text("DELETE FROM jobs"))
        raise OSError
    with database.read_connection() as connection:
        assert connection.execute(select(Job.id)).scalar_one() == kept
