"""Commands of users on jobs in every state."""

from pathlib import Path

import pytest

from service.db.engine import Database
from service.errors import IllegalTransitionError, JobNotFoundError
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence
from service.states import Status
from tests.service import factories


def test_a_new_job_is_queued_with_its_first_event(database: Database) -> None:
    job_id = factories.queued(database, metadata={"team": "search"}, priority=5, max_duration=60.0)
    job = factories.load(database, job_id)
    assert (job.status, job.attempt, job.step, job.event_seq) == (Status.QUEUED, 0, 0, 1)
    assert (job.spec, job.user_metadata, job.priority, job.max_duration) == (factories.SPEC, {"team": "search"}, 5, 60.0)
    assert job.created_at == job.updated_at == job.not_before or job.created_at <= job.not_before
    assert factories.recorded_events(database, job_id) == [("created", {"status": "queued"})]


def test_a_queued_job_is_cancelled_at_once(database: Database) -> None:
    for job_id in (factories.queued(database), factories.paused(database).id):
        with database.write() as session:
            job = commands.request_cancel(session, job_id)
        assert (job.status, job.finished_at is not None) == (Status.CANCELLED, True)
        assert factories.recorded_events(database, job_id)[-1] == ("status", {"status": "cancelled", "reason": "requested"})
    assert factories.claim(database) is None


def test_cancelling_a_running_job_is_a_request(database: Database) -> None:
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


def test_cancelling_twice_is_no_error_and_cancelling_an_ended_job_is(database: Database, tmp_path: Path) -> None:
    gone = factories.cancelled(database)
    with database.write() as session:
        assert commands.request_cancel(session, gone.id).finished_at == gone.finished_at
    for job in (factories.succeeded(database, tmp_path), factories.failed(database)):
        with pytest.raises(IllegalTransitionError, match=job.id) as refused, database.write() as session:
            commands.request_cancel(session, job.id)
        assert refused.value.status == job.status


def test_pause_and_resume(database: Database) -> None:
    job_id = factories.paused(database).id
    assert factories.claim(database) is None
    with database.write() as session:
        assert commands.request_pause(session, job_id).status is Status.PAUSED
        assert commands.resume(session, job_id).status is Status.QUEUED
        assert commands.resume(session, job_id).status is Status.QUEUED
    assert factories.claim(database) is not None


def test_pausing_a_running_job_is_a_request_that_can_be_withdrawn(database: Database) -> None:
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
        "created",
        "status",
        "pause_requested",
        "pause_withdrawn",
        "pause_requested",
        "status",
    ]


@pytest.mark.parametrize("again", [False, True], ids=["resumed", "resumed and paused again"])
def test_a_resume_that_was_accepted_holds(database: Database, again: bool) -> None:
    """The worker has seen the request and stopped its trainer; what the user asked for last decides."""
    job = factories.running(database)
    fence = Fence.from_row(job)
    with database.write() as session:
        commands.request_pause(session, job.id)
        assert claims.renew_lease(session, fence, lease_seconds=60).pause
    with database.write() as session:
        assert commands.resume(session, job.id).status is Status.RUNNING
        if again:
            commands.request_pause(session, job.id)
    with database.write() as session:
        laid_aside = claims.pause(session, fence)
    assert laid_aside.status is (Status.PAUSED if again else Status.QUEUED)
    assert laid_aside.attempts_spent == 0
    if not again:
        assert factories.claim(database) is not None, "it is due at once"
    details = [data for event, data in factories.recorded_events(database, job.id) if event == "status"]
    assert details[1]["reason"] == ("requested" if again else "resumed")


def test_an_ended_job_can_neither_be_paused_nor_resumed(database: Database) -> None:
    job = factories.failed(database)
    for command in (commands.request_pause, commands.resume):
        with pytest.raises(IllegalTransitionError), database.write() as session:
            command(session, job.id)


def test_only_ended_jobs_can_be_deleted(database: Database, tmp_path: Path) -> None:
    for job in (factories.succeeded(database, tmp_path), factories.cancelled(database)):
        with database.write() as session:
            commands.delete(session, job.id)
        with pytest.raises(JobNotFoundError):
            factories.load(database, job.id)
    for job_id in (factories.running(database).id, factories.queued(database)):
        with pytest.raises(IllegalTransitionError, match=job_id), database.write() as session:
            commands.delete(session, job_id)


def test_commands_on_an_unknown_job_are_refused(database: Database) -> None:
    for act in (queries.get, commands.delete, commands.request_cancel, commands.request_pause, commands.resume):
        with pytest.raises(JobNotFoundError, match="job_no"), database.write() as session:
            act(session, "job_no")


def test_a_job_of_another_owner_is_not_found(database: Database) -> None:
    queued, ended = (factories.queued(database, owner="a") for _ in range(2))
    with database.write() as session:
        commands.request_cancel(session, ended, owner="a")
    acts = (queries.get, commands.delete, commands.request_cancel, commands.request_pause, commands.resume, commands.retry)
    for act in acts:
        for job_id in (queued, ended):
            with pytest.raises(JobNotFoundError, match=job_id), database.write() as session:
                act(session, job_id, owner="b")
    with database.write() as session:
        assert queries.page(session, limit=5, owner="b") == ([], None)
        assert set(queries.page(session, limit=5, owner="a")[0]) == {queued, ended}
        assert (queries.count_waiting(session, owner="a"), queries.count_waiting(session, owner="b")) == (1, 0)
        assert commands.retry(session, ended).owner == "a"
        commands.delete(session, ended, owner="a")
