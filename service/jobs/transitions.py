"""Guarded state transitions of jobs: the only writer of a job's status and of its event numbers.

A transition is one UPDATE that names the states it may start from. Of two concurrent ones the first changes the row, and the
second finds no row to change. The same UPDATE numbers the event that records it, so numbers have no gaps and appear in order.
Called by ``service.jobs.claims`` for workers and by ``service.jobs.commands`` for users; never commits.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, case, delete, insert, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.db.clock import now_sql, seconds_sql
from service.db.models import Artifact, Event, Job
from service.db.paging import json_bytes
from service.jobs import status_messages
from service.states import TERMINAL, Status, sources


def update_guarded(session: Session, where: Sequence[ColumnElement[bool]], **values: Any) -> Job | None:
    """One guarded UPDATE of at most one job; the row as it now is, or None if the guard matched none."""
    statement = update(Job).where(*where).values(updated_at=now_sql(), **values).returning(Job)
    options = {"synchronize_session": False, "populate_existing": True}
    return session.execute(statement, execution_options=options).scalar_one_or_none()


def update_columns(
    session: Session, where: Sequence[ColumnElement[bool]], returning: Sequence[InstrumentedAttribute[Any]], **values: Any
) -> Row[Any] | None:
    """``update_guarded`` for a caller that needs few columns of the row or none.

    A whole row has the spec and the metrics, kilobytes that would be sent and parsed for each heartbeat.
    """
    statement = update(Job).where(*where).values(updated_at=now_sql(), **values).returning(*returning)
    return session.execute(statement, execution_options={"synchronize_session": False}).one_or_none()


def append_event(
    session: Session, where: Sequence[ColumnElement[bool]], event: str, data: dict[str, Any], **values: Any
) -> Job | None:
    """``update_guarded`` together with an event of type ``event`` that records it."""
    size = Job.record_bytes + json_bytes(data)
    job = update_guarded(session, where, event_seq=Job.event_seq + 1, record_bytes=size, **values)
    if job is not None:
        add_event_row(session, job, event, data)
    return job


def add_event_row(session: Session, job: Job | Row[Any], event: str, data: dict[str, Any]) -> None:
    """The event that the caller has just numbered; ``job`` has ``id``, ``event_seq`` and ``attempt``."""
    session.execute(insert(Event).values(job_id=job.id, seq=job.event_seq, attempt=job.attempt, type=event, data=data))


def transition(
    session: Session,
    to: Status,
    job: str | ScalarSelect[str],
    *guards: ColumnElement[bool],
    details: dict[str, Any] | None = None,
    **values: Any,
) -> Job | None:
    """Take ``job`` (an id, or a subquery that selects one) to status ``to`` if TRANSITIONS and ``guards`` allow it.

    Writes an event of type ``status`` with ``details`` in its data, and the messages to webhooks. A terminal status also
    deletes artifacts that were not complete, because no later attempt will. ``values`` are further columns. None: nothing
    changed.
    """
    if to is Status.RUNNING:
        values |= {"claimed_at": now_sql()}
    else:
        ran = case((Job.status == Status.RUNNING, seconds_sql(Job.__table__.c.claimed_at)), else_=0.0)
        values |= {"lease_expires_at": None, "pause_requested_at": None, "eta_seconds": None, "run_seconds": Job.run_seconds + ran}
    if to in TERMINAL:
        values |= {"finished_at": now_sql(), "checkpoint_bytes": 0}  # they are removed within minutes
    if to in (Status.QUEUED, Status.PAUSED, Status.SUCCEEDED):
        values |= {"phase": None}  # a failed or cancelled job keeps the phase it ended in
    where = [Job.id == job, Job.status.in_(sorted(sources(to))), *guards]
    changed = append_event(session, where, "status", {"status": to, **(details or {})}, status=to, **values)
    if changed is None:
        return None
    status_messages.enqueue(session, changed)
    if to in TERMINAL:
        session.execute(delete(Artifact).where(Artifact.job_id == changed.id, ~Artifact.complete))
    return changed


def lock_row(session: Session, *where: ColumnElement[bool]) -> Job | None:
    """The job that ``where`` matches, its row locked until the transaction ends."""
    # NO KEY: rows that refer to the job can still be added. SQLite has no row locks and needs none inside write()
    statement = select(Job).where(*where).with_for_update(key_share=True)
    return session.execute(statement, execution_options={"populate_existing": True}).scalar_one_or_none()


def lock_dependents(session: Session, job_ids: Sequence[str]) -> None:
    """Lock the jobs that refer to jobs which are about to be deleted: their exports, evaluations and retries.

    A worker that runs a dependent holds its row and, at the second write of a transaction, PostgreSQL locks the row that it
    refers to. A deletion that locked that row first and the dependents by its cascade would deadlock with the worker. The
    caller holds the jobs themselves by ``lock_row``, which those checks do not conflict with and which keeps further
    dependents from being added.
    """
    refer = or_(Job.export_of.in_(job_ids), Job.retried_from.in_(job_ids))
    session.execute(select(Job.id).where(refer).order_by(Job.id).with_for_update())
