"""Statements of a step and of a heartbeat: how often they change the row of a job, and which columns they read."""

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

from service.db.engine import Database
from service.db.paging import json_bytes
from service.jobs import claims, queries
from service.jobs.fence import Fence
from tests.service import factories


def statements_of(database: Database, run: Callable[[Session], object]) -> list[str]:
    """What ``run`` executes in a transaction."""
    found: list[str] = []

    def keep(_connection: object, _cursor: object, words: str, *_: object) -> None:
        found.append(words)

    event.listen(database.engine, "before_cursor_execute", keep)
    with database.write() as session:
        run(session)
    event.remove(database.engine, "before_cursor_execute", keep)
    return found


def test_a_step_changes_the_row_of_its_job_once(database: Database) -> None:
    job = factories.running(database)
    fence = Fence.from_row(job)
    with database.write() as session:
        claims.set_progress(session, fence, metrics={"loss": 2.0, "accuracy": 0.5})
    statements = statements_of(
        database, lambda session: claims.record_step(session, fence, step=7, total_steps=9, eta_seconds=3.0, values={"loss": 1.0})
    )
    assert sum(words.startswith("UPDATE jobs") for words in statements) == 1
    now = factories.load(database, job.id)
    assert (now.step, now.total_steps, now.eta_seconds) == (7, 9, 3.0)
    assert now.metrics == {"loss": 1.0, "accuracy": 0.5}
    assert now.record_bytes == job.record_bytes + json_bytes({"loss": 1.0})
    with database.read() as session:
        (row,) = queries.metric_page(session, job.id, limit=10)[0]
    assert (row.step, row.values) == (7, {"loss": 1.0})


def test_a_heartbeat_does_not_fetch_the_spec(database: Database) -> None:
    fence = Fence.from_row(factories.running(database))
    (words,) = [
        words
        for words in statements_of(database, lambda session: claims.renew_lease(session, fence, lease_seconds=60))
        if "UPDATE jobs" in words
    ]
    assert "spec" not in words
