"""Turns of maintenance: one worker at a time, and again when they are due."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import update

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import MaintenanceTurn
from service.jobs import turns
from service.jobs.turns import Turn


def take(database: Database, turn: Turn = Turn.REAPING, every_seconds: float = 60) -> bool:
    with database.write() as session:
        return turns.take(session, turn, every_seconds=every_seconds)


def fail_in_turn(database: Database) -> None:
    with database.write() as session:
        assert turns.take(session, Turn.REAPING, every_seconds=60)
        session.rollback()


def test_a_turn_is_taken_once_until_it_is_due_again(database: Database) -> None:
    assert [take(database), take(database), take(database, Turn.COLLECTION)] == [True, False, True]
    with database.write() as session:
        session.execute(update(MaintenanceTurn).where(MaintenanceTurn.name == Turn.REAPING).values(due_at=now_sql(-1)))
    assert [take(database), take(database), take(database, Turn.COLLECTION)] == [True, False, False]


def test_a_turn_that_failed_is_free_again(database: Database) -> None:
    fail_in_turn(database)
    assert [take(database), take(database)] == [True, False]
    with database.write() as session:
        session.execute(update(MaintenanceTurn).values(due_at=now_sql(-1)))
    fail_in_turn(database)
    assert take(database)


@pytest.mark.parametrize("begun", [False, True])
def test_of_many_at_once_one_gets_it(database: Database, begun: bool) -> None:
    if begun:
        take(database, every_seconds=-1)
    together = Barrier(4)

    def contend(_: int) -> bool:
        together.wait()
        return take(database)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(contend, range(4))) == 1


def test_no_task_waits_for_the_turn_of_another(empty_postgres: str) -> None:
    """A worker whose maintenance takes long, or that is frozen in it, keeps no other from its heartbeat."""
    database = Database(empty_postgres)
    take(database, every_seconds=-1)
    with database.write() as session:
        assert turns.take(session, Turn.REAPING, every_seconds=60)
        assert not take(database)
    database.dispose()
