"""The only place where a job changes state, and where its events get their numbers.

A move is one UPDATE that names the states it may start from; whoever changes the row first wins, and the loser sees that
no row was left for it. The event that tells of the move is numbered by the same UPDATE, so numbers have no gaps and
appear in order.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, case, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql, seconds_sql
from service.db.models import Artifact, Event, Job
from service.states import TERMINAL, Status, sources
from service.webhooks import subscriptions


def update_guarded(session: Session, where: Sequence[ColumnElement[bool]], **values: Any) -> Job | None:
    """One guarded UPDATE of at most one job; the row as it now is, or None if the guard matched none."""
    statement = update(Job).where(*where).values(updated_at=now_sql(), **values).returning(Job)
    options = {"synchronize_session": False, "populate_existing": True}
    return session.execute(statement, execution_options=options).scalar_one_or_none()


def append_event(
    session: Session, where: Sequence[ColumnElement[bool]], event: str, data: dict[str, Any], **values: Any
) -> Job | None:
    """``update_guarded`` together with an event that tells of it."""
    job = update_guarded(session, where, event_seq=Job.event_seq + 1, **values)
    if job is not None:
        session.execute(
            insert(Event).values(job_id=job.id, seq=job.event_seq, attempt=job.attempt, type=event, data=data)
        )
    return job


def transition(
    session: Session,
    to: Status,
    job: str | ScalarSelect[str],
    *guards: ColumnElement[bool],
    details: dict[str, Any] | None = None,
    **values: Any,
) -> Job | None:
    """Take ``job`` (an id, or a subquery that picks one) to state ``to`` if TRANSITIONS and ``guards`` allow it.

    Writes an event of type ``status`` with ``details`` in its data, and what webhooks are to be told of it. ``values`` are
    further columns. None: nothing changed.
    """
    if to is Status.RUNNING:
        values |= {"claimed_at": now_sql()}
    else:
        ran = case((Job.status == Status.RUNNING, seconds_sql(Job.__table__.c.claimed_at)), else_=0.0)
        values |= {
            "lease_expires_at": None, "pause_requested_at": None, "eta_seconds": None, "run_seconds": Job.run_seconds + ran,
        }  # fmt: skip
    if to in TERMINAL:
        values |= {"finished_at": now_sql()}
    if to in (Status.QUEUED, Status.PAUSED, Status.SUCCEEDED):
        values |= {"phase": None}  # a failed or cancelled job shows where it was
    where = [Job.id == job, Job.status.in_(sorted(sources(to))), *guards]
    moved = append_event(session, where, "status", {"status": to, **(details or {})}, status=to, **values)
    if moved is None:
        return None
    subscriptions.announce(session, moved)
    if to in TERMINAL:  # what a worker that died was writing; no later attempt will clear it away
        session.execute(delete(Artifact).where(Artifact.job_id == moved.id, ~Artifact.complete))
    return moved


def lock_row(session: Session, *where: ColumnElement[bool]) -> Job | None:
    """The job that ``where`` matches, held until the transaction ends, so that what is read stays true."""
    # NO KEY: rows that refer to the job can still be added. SQLite has no row locks and needs none inside write()
    statement = select(Job).where(*where).with_for_update(key_share=True)
    return session.execute(statement, execution_options={"populate_existing": True}).scalar_one_or_none()


def lock_dependents(session: Session, job_ids: Sequence[str]) -> None:
    """Hold whatever refers to jobs that are about to be deleted: their exports, and jobs that do them again.

    Who runs one of these holds its row and, at the second write of a transaction, has PostgreSQL look at the row that it
    refers to. A deletion that took that row first and these by its cascade would wait for the run, and the run for it. The
    caller holds the jobs themselves by ``lock_row``, which such a look does not mind, so that no further ones are added.
    """
    refer = or_(Job.export_of.in_(job_ids), Job.retried_from.in_(job_ids))
    session.execute(select(Job.id).where(refer).order_by(Job.id).with_for_update())
