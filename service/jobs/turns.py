"""Turns of maintenance: work for the whole service that one worker does at a time, however many workers there are.

Reaping and collecting cost the same whether one worker does them or each of a thousand, and the rows that they read are those of
all workers: without turns the cost would grow with the square. Called by ``worker.maintenance``; never commits.
"""

from enum import StrEnum

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import MaintenanceTurn


class Turn(StrEnum):
    """What is done in turns."""

    REAPING = "reaping"
    COLLECTION = "collection"


def take(session: Session, turn: Turn, *, every_seconds: float) -> bool:
    """Whether the caller is to do the work now: it was not done for a while, and no other process is doing it.

    The turn is the caller's until its transaction ends; when that is rolled back, the next one to ask gets it. The next turn is due
    ``every_seconds`` from now.
    """
    due = session.execute(select(MaintenanceTurn.due_at <= now_sql()).where(MaintenanceTurn.name == turn)).scalar_one_or_none()
    if due is None:
        return _begin(session, turn, every_seconds)
    if not due:
        return False
    free = (
        select(MaintenanceTurn.name)
        .where(MaintenanceTurn.name == turn, MaintenanceTurn.due_at <= now_sql())
        .with_for_update(skip_locked=True)  # no process waits for the turn of another
        .scalar_subquery()
    )
    taken = (
        update(MaintenanceTurn)
        .where(MaintenanceTurn.name == free)
        .values(due_at=now_sql(every_seconds))
        .returning(MaintenanceTurn.name)
    )
    return session.execute(taken, execution_options={"synchronize_session": False}).scalar_one_or_none() is not None


def _begin(session: Session, turn: Turn, every_seconds: float) -> bool:
    """The first turn ever. Of two that begin it at once, one does."""
    try:
        with session.begin_nested():
            session.execute(insert(MaintenanceTurn).values(name=turn, due_at=now_sql(every_seconds)))
    except IntegrityError:
        return False
    return True
