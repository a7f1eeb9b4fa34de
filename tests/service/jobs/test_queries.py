"""Pages of jobs, and events and metrics after a position."""

import base64

import pytest
from sqlalchemy import update

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.errors import InvalidCursorError
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence
from service.states import Status
from tests.service import factories

_ID = "job_" + "0" * 26


def test_pages_are_newest_first_and_neither_repeat_nor_skip(database: Database) -> None:
    ids = [factories.queued(database) for _ in range(5)]
    with database.write() as session:  # of the same instant: the id decides
        session.execute(update(Job).where(Job.id.in_(ids[1:4])).values(created_at=now_sql(-60)))
        session.execute(update(Job).where(Job.id == ids[0]).values(created_at=now_sql(-90)))
    expected = [ids[4], *sorted(ids[1:4], reverse=True), ids[0]]

    seen, after = [], None
    while True:
        with database.read() as session:
            page, after = queries.page(session, limit=2, after=after)
        seen += page
        if len(seen) == 2:
            factories.queued(database)  # a newcomer does not shift the pages
            with database.write() as session:
                commands.request_cancel(session, seen[-1])
                commands.delete(session, seen[-1])  # nor does losing the row that the cursor came from
        if after is None:
            break
    assert seen == expected


def test_the_last_full_page_has_no_cursor(database: Database) -> None:
    factories.queued(database)
    factories.queued(database)
    with database.read() as session:
        page, after = queries.page(session, limit=2)
    assert (len(page), after) == (2, None)


def test_jobs_are_filtered_by_status_task_model_method_and_metadata(database: Database) -> None:
    plain = factories.queued(database)
    custom = factories.queued(database, spec={"model": "acme/big", "task": {"name": "sst2"}, "method": "smp-l"})
    with database.write() as session:
        commands.request_cancel(session, plain)

    def found(**filters: str | Status) -> list[str]:
        with database.read() as session:
            return queries.page(session, limit=10, **filters)[0]  # type: ignore[arg-type]

    assert found(status=Status.CANCELLED) == [plain]
    assert found(task="sst2") == [plain]  # a custom task is not found by a table name inside it
    assert found(model="acme/big", method="smp-l") == [custom]
    assert found(model="acme/big", method="smp-s") == []
    assert found(model="' OR 1=1 --") == []


@pytest.mark.parametrize(
    "inside", ["", "x y", f"2026-01-31T09:30:00 {_ID}", f"0001-01-01T00:00:00+14:00 {_ID}", f"2026-01-31T09:30:00+00:00 {_ID}\0"]
)
def test_a_forged_cursor_is_refused(database: Database, inside: str) -> None:
    test_a_made_up_cursor_is_refused(database, base64.urlsafe_b64encode(inside.encode()).decode())


@pytest.mark.parametrize("cursor", ["", "x", "ü", "job_1", "AAAA", "////"])
def test_a_made_up_cursor_is_refused(database: Database, cursor: str) -> None:
    with database.read() as session, pytest.raises(InvalidCursorError):
        queries.page(session, limit=2, after=cursor)


def test_events_and_metrics_are_read_after_a_position(database: Database) -> None:
    job = factories.running(database)
    with database.write() as session:
        for step in range(1, 4):
            claims.record_metrics(session, Fence.from_row(job), step=step, values={"loss": 1 / step})
    with database.read() as session:
        assert [event.seq for event in queries.events(session, job.id, after=1)] == [2]
        first, *rest = queries.metric_page(session, job.id, limit=9)[0]
        assert [row.step for row in rest] == [2, 3]
        assert [row.step for row in queries.metric_page(session, job.id, after=first.id, limit=1)[0]] == [2]
        assert queries.events(session, "no") == []
