"""Heartbeats: live workers."""

from sqlalchemy import update

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Worker
from service.jobs import heartbeats


def beat(database: Database, worker_id: str, slots: int = 1) -> None:
    with database.write() as session:
        heartbeats.record(session, worker_id=worker_id, hostname="host", pid=1, slots=slots)


def live(database: Database) -> list[str]:
    with database.read() as session:
        return [worker.id for worker in heartbeats.live_workers(session, within_seconds=30)]


def silence(database: Database, worker_id: str, seconds: float) -> None:
    with database.write() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(seen_at=now_sql(-seconds)))


def test_a_worker_is_live_while_it_sends_heartbeats_and_until_it_is_removed(database: Database) -> None:
    assert live(database) == []
    beat(database, "a")
    beat(database, "b")
    beat(database, "a", slots=4)
    assert live(database) == ["a", "b"]
    with database.read() as session:
        assert [worker.slots for worker in heartbeats.live_workers(session, within_seconds=30)] == [4, 1]
    silence(database, "a", 31)
    assert live(database) == ["b"]
    beat(database, "a")
    with database.write() as session:
        heartbeats.remove(session, "b")
        heartbeats.remove(session, "b")
    assert live(database) == ["a"]


def test_workers_silent_for_a_day_are_deleted(database: Database) -> None:
    for worker_id, seconds in (("old", 90_000), ("recent", 3600)):
        beat(database, worker_id)
        silence(database, worker_id, seconds)
    beat(database, "new")
    with database.read() as session:
        assert {worker.id for worker in session.query(Worker)} == {"recent", "new"}
