"""What a user may do to jobs and read of them."""

import base64
from pathlib import Path

import pytest
from sqlalchemy import update

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.errors import IllegalTransitionError, InvalidCursorError, JobNotFoundError
from service.jobs import claims, commands
from service.jobs.fence import Fence
from service.states import Status
from tests.service import factories


def test_a_new_job_is_queued_with_its_first_event(database: Database) -> None:
    job_id = factories.queued(database, metadata={"team": "search"}, priority=5, max_duration=60.0)
    job = factories.load(database, job_id)
    assert (job.status, job.attempt, job.step, job.event_seq) == (Status.QUEUED, 0, 0, 1)
    assert (job.spec, job.user_metadata, job.priority, job.max_duration) == (
        factories.SPEC,
        {"team": "search"},
        5,
        60.0,
    )
    assert job.created_at == job.updated_at == job.not_before or job.created_at <= job.not_before
    assert factories.recorded_events(database, job_id) == [("created", {"status": "queued"})]


def test_pages_are_newest_first_and_neither_repeat_nor_skip(database: Database) -> None:
    ids = [factories.queued(database) for _ in range(5)]
    with database.write() as session:  # of the same instant: the id decides
        session.execute(update(Job).where(Job.id.in_(ids[1:4])).values(created_at=now_sql(-60)))
        session.execute(update(Job).where(Job.id == ids[0]).values(created_at=now_sql(-90)))
    expected = [ids[4], *sorted(ids[1:4], reverse=True), ids[0]]

    seen, after = [], None
    while True:
        with database.read() as session:
            page, after = commands.page(session, limit=2, after=after)
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
        page, after = commands.page(session, limit=2)
    assert (len(page), after) == (2, None)


def test_jobs_are_found_by_state_and_by_what_they_prune(database: Database) -> None:
    plain = factories.queued(database)
    custom = factories.queued(database, spec={"model": "acme/big", "task": {"name": "sst2"}, "method": "smp-l"})
    with database.write() as session:
        commands.request_cancel(session, plain)

    def found(**filters: str | Status) -> list[str]:
        with database.read() as session:
            return commands.page(session, limit=10, **filters)[0]  # type: ignore[arg-type]

    assert found(status=Status.CANCELLED) == [plain]
    assert found(task="sst2") == [plain]  # a custom task is not found by a table name inside it
    assert found(model="acme/big", method="smp-l") == [custom]
    assert found(model="acme/big", method="smp-s") == []
    assert found(model="' OR 1=1 --") == []


_ID = "job_" + "0" * 26


@pytest.mark.parametrize(
    "inside",
    ["", "x y", f"2026-01-31T09:30:00 {_ID}", f"0001-01-01T00:00:00+14:00 {_ID}", f"2026-01-31T09:30:00+00:00 {_ID}\0"],
)
def test_a_forged_cursor_is_refused(database: Database, inside: str) -> None:
    test_a_made_up_cursor_is_refused(database, base64.urlsafe_b64encode(inside.encode()).decode())


@pytest.mark.parametrize("cursor", ["", "x", "ü", "job_1", "AAAA", "////"])
def test_a_made_up_cursor_is_refused(database: Database, cursor: str) -> None:
    with database.read() as session, pytest.raises(InvalidCursorError):
        commands.page(session, limit=2, after=cursor)


def test_events_and_metrics_are_read_after_a_place(database: Database) -> None:
    job = factories.running(database)
    with database.write() as session:
        for step in range(1, 4):
            claims.record_metrics(session, Fence.from_row(job), step=step, values={"loss": 1 / step})
    with database.read() as session:
        assert [event.seq for event in commands.events(session, job.id, after=1)] == [2]
        first, *rest = commands.metrics(session, job.id)
        assert [row.step for row in rest] == [2, 3]
        assert [row.step for row in commands.metrics(session, job.id, after=first.id, limit=1)] == [2]
        assert commands.events(session, "no") == []


def test_cancelling_what_waits_is_done_at_once(database: Database) -> None:
    for job_id in (factories.queued(database), factories.paused(database).id):
        with database.write() as session:
            job = commands.request_cancel(session, job_id)
        assert (job.status, job.finished_at is not None) == (Status.CANCELLED, True)
        assert factories.recorded_events(database, job_id)[-1] == (
            "status",
            {"status": "cancelled", "reason": "requested"},
        )
    assert factories.claim(database) is None


def test_cancelling_what_runs_is_a_wish(database: Database) -> None:
    job = factories.running(database)
    with database.write() as session:
        job = commands.request_cancel(session, job.id)
        assert (job.status, job.cancel_requested_at is not None) == (Status.RUNNING, True)
        again = commands.request_cancel(session, job.id)
        assert again.cancel_requested_at == job.cancel_requested_at
        assert claims.renew_lease(session, Fence.from_row(job), lease_seconds=60) == claims.ControlRequests(
            cancel=True, pause=False
        )
        claims.cancel(session, Fence.from_row(job))
    assert [event for event, _ in factories.recorded_events(database, job.id)] == [
        "created",
        "status",
        "cancel_requested",
        "status",
    ]


def test_cancelling_again_is_no_error_and_cancelling_the_end_is(database: Database, tmp_path: Path) -> None:
    gone = factories.cancelled(database)
    with database.write() as session:
        assert commands.request_cancel(session, gone.id).finished_at == gone.finished_at
    for job in (factories.succeeded(database, tmp_path), factories.failed(database)):
        message = f"Job {job.id} is {job.status}; it cannot be cancelled"
        with pytest.raises(IllegalTransitionError, match=message), database.write() as session:
            commands.request_cancel(session, job.id)


def test_pause_and_resume(database: Database) -> None:
    job_id = factories.paused(database).id
    assert factories.claim(database) is None
    with database.write() as session:
        assert commands.request_pause(session, job_id).status is Status.PAUSED
        assert commands.resume(session, job_id).status is Status.QUEUED
        assert commands.resume(session, job_id).status is Status.QUEUED
    assert factories.claim(database) is not None


def test_pausing_what_runs_is_a_wish_that_can_be_taken_back(database: Database) -> None:
    job = factories.running(database)
    with database.write() as session:
        commands.request_pause(session, job.id)
        commands.request_pause(session, job.id)
        assert claims.renew_lease(session, Fence.from_row(job), lease_seconds=60).pause
        commands.resume(session, job.id)
        assert not claims.renew_lease(session, Fence.from_row(job), lease_seconds=60).pause
        commands.request_pause(session, job.id)
        assert claims.pause(session, Fence.from_row(job)).status is Status.PAUSED
    assert [event for event, _ in factories.recorded_events(database, job.id)] == [
        "created", "status", "pause_requested", "pause_withdrawn", "pause_requested", "status",
    ]  # fmt: skip


def test_a_finished_job_can_neither_be_paused_nor_resumed(database: Database) -> None:
    job = factories.failed(database)
    for wish in (commands.request_pause, commands.resume):
        with pytest.raises(IllegalTransitionError), database.write() as session:
            wish(session, job.id)


def test_only_what_is_finished_can_be_deleted(database: Database, tmp_path: Path) -> None:
    for job in (factories.succeeded(database, tmp_path), factories.cancelled(database)):
        with database.write() as session:
            commands.delete(session, job.id)
        with pytest.raises(JobNotFoundError):
            factories.load(database, job.id)
    for job_id in (factories.running(database).id, factories.queued(database)):
        with (
            pytest.raises(IllegalTransitionError, match="cannot be deleted before it is finished"),
            database.write() as session,
        ):
            commands.delete(session, job_id)


def test_nothing_can_be_done_to_a_job_that_is_not_there(database: Database) -> None:
    for act in (commands.get, commands.delete, commands.request_cancel, commands.request_pause, commands.resume):
        with pytest.raises(JobNotFoundError, match="There is no job job_no"), database.write() as session:
            act(session, "job_no")


def test_a_job_of_somebody_else_is_not_there_either(database: Database) -> None:
    queued, ended = (factories.queued(database, owner="a") for _ in range(2))
    with database.write() as session:
        commands.request_cancel(session, ended, owner="a")
    acts = (
        commands.get,
        commands.delete,
        commands.request_cancel,
        commands.request_pause,
        commands.resume,
        commands.retry,
    )
    for act in acts:
        for job_id in (queued, ended):
            with pytest.raises(JobNotFoundError, match=f"There is no job {job_id}"), database.write() as session:
                act(session, job_id, owner="b")
    with database.write() as session:
        assert commands.page(session, limit=5, owner="b") == ([], None)
        assert set(commands.page(session, limit=5, owner="a")[0]) == {queued, ended}
        assert (commands.count_queued(session, owner="a"), commands.count_queued(session, owner="b")) == (1, 0)
        assert commands.retry(session, ended).owner == "a"
        commands.delete(session, ended, owner="a")
