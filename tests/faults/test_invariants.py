"""The invariant checker itself: each kind of violation, made by hand, is found under its name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, Event, Job, Metric
from tests.faults.invariants import find_violations
from tests.service import factories

Harm = Callable[[Session, Job], object]


def said(session: Session, job: Job, attempt: int, kind: str, **data: object) -> None:
    """One more event, numbered as it should be."""
    seq = job.event_seq + 1
    session.execute(insert(Event).values(job_id=job.id, seq=seq, attempt=attempt, type=kind, data=data))
    session.execute(update(Job).where(Job.id == job.id).values(event_seq=seq))


HARMS: dict[str, tuple[str, Harm]] = {
    "a job that is gone": ("lost", lambda session, job: session.execute(delete(Job).where(Job.id == job.id))),
    "a second end": ("duplicated", lambda session, job: said(session, job, 1, "status", status="succeeded")),
    "words after the end": ("stale", lambda session, job: said(session, job, 1, "log", message="late")),
    "a move back": ("duplicated", lambda session, job: said(session, job, 1, "status", status="queued")),
    "numbers of a run that never was": (
        "stale",
        lambda session, job: session.execute(insert(Metric).values(job_id=job.id, attempt=2, step=1, values={})),
    ),
    "a missing event": (
        "disorder",
        lambda session, job: session.execute(delete(Event).where(Event.job_id == job.id, Event.seq == 2)),
    ),
    "an event that was not counted": (
        "disorder",
        lambda session, job: session.execute(update(Job).where(Job.id == job.id).values(event_seq=Job.event_seq - 1)),
    ),
    "too many attempts": (
        "disorder",
        lambda session, job: session.execute(update(Job).where(Job.id == job.id).values(attempt=9, attempts_spent=9)),
    ),
    "a mask with a hole": ("disorder", lambda session, job: session.execute(delete(ArtifactChunk))),
    "half an artifact": (
        "orphans",
        lambda session, job: session.execute(
            insert(Artifact).values(
                job_id=job.id,
                attempt=1,
                name="half",
                media_type="x/y",
                size=1,
                sha256="",
                chunk_bytes=1,
                complete=False,
                created_at=now_sql(),
            )
        ),
    ),
    "the mask of another run": (
        "stale",
        lambda session, job: session.execute(update(Artifact).where(Artifact.job_id == job.id).values(attempt=0)),
    ),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_violation_is_found(database: Database, tmp_path: Path, harm: str) -> None:
    job = factories.succeeded(database, tmp_path)
    assert find_violations(database, [job.id], max_attempts=3).all == []
    kind, do = HARMS[harm]
    with database.write() as session:
        do(session, job)
    assert getattr(find_violations(database, [job.id], max_attempts=3), kind)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_that_has_not_ended_is_lost_only_if_it_should_have(database: Database) -> None:
    job_id = factories.queued(database)
    assert find_violations(database, [job_id], max_attempts=3).lost
    assert find_violations(database, [job_id], max_attempts=3, ended=False).all == []
