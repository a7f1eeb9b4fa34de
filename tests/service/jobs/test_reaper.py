"""Reaping of expired leases, and jobs that no worker can run."""

from sqlalchemy import update

from service.db.engine import Database
from service.db.models import Job
from service.jobs import claims, heartbeats
from service.jobs.fence import Fence
from service.jobs.reaper import WORKER_LOST, reap_expired_leases, report_unrunnable_jobs
from service.protocol import PROTOCOL
from service.states import Status
from tests.service import factories


def sweep(database: Database, max_attempts: int = 3, retry_delay_seconds: float = 0) -> list[str]:
    with database.write() as session:
        return reap_expired_leases(session, max_attempts=max_attempts, retry_delay_seconds=retry_delay_seconds)


def test_a_job_with_a_valid_lease_keeps_running(database: Database) -> None:
    job = factories.running(database)
    assert sweep(database) == []
    assert factories.load(database, job.id).status is Status.RUNNING


def test_a_lost_job_is_queued_again(database: Database) -> None:
    job = factories.running(database)
    factories.expire_leases(database, job.id)
    assert sweep(database) == [job.id]
    assert sweep(database) == []
    back = factories.load(database, job.id)
    assert (back.status, back.attempt, back.attempts_spent) == (Status.QUEUED, 1, 1)
    assert factories.recorded_events(database, job.id)[-1] == (
        "status",
        {"status": "queued", "reason": "worker_lost", "error": WORKER_LOST, "delay_seconds": 0.0},
    )
    again = factories.claim(database)
    assert again is not None
    assert again.attempt == 2


def test_a_job_that_loses_all_attempts_fails(database: Database) -> None:
    job_id = factories.queued(database)
    for _ in range(2):
        factories.claim(database)
        factories.expire_leases(database, job_id)
        assert sweep(database, max_attempts=2) == [job_id]
    assert factories.claim(database) is None
    dead = factories.load(database, job_id)
    assert (dead.status, dead.error, dead.attempts_spent) == (Status.FAILED, WORKER_LOST, 2)


def test_requeues_at_shutdown_spend_no_attempts(database: Database) -> None:
    factories.queued(database)
    for _ in range(5):
        job = factories.claim(database)
        assert job is not None
        with database.write() as session:
            claims.requeue(session, Fence.from_row(job), reason="worker_shutdown")
    last = factories.claim(database)
    assert last is not None
    factories.expire_leases(database, last.id)
    sweep(database, max_attempts=2)
    assert factories.load(database, last.id).status is Status.QUEUED


def test_many_expired_leases_are_reaped_together(database: Database) -> None:
    ids = [factories.queued(database) for _ in range(5)]
    for _ in ids:
        factories.claim(database)
    factories.expire_leases(database, *ids)
    assert sorted(sweep(database)) == sorted(ids)


def test_a_job_for_more_devices_than_any_worker_has_gets_one_event(database: Database) -> None:
    big = factories.queued(database, spec={**factories.SPEC, "devices": 4})
    fitting = factories.queued(database, spec={**factories.SPEC, "devices": 2})

    def report() -> list[str]:
        with database.write() as session:
            return report_unrunnable_jobs(session, worker_seen_seconds=60)

    assert report() == []  # without a worker every job waits, and /readyz says so
    with database.write() as session:
        for name, devices in (("a", 1), ("b", 2)):
            heartbeats.record(session, worker_id=name, hostname="host", pid=1, slots=1, devices=devices)
    assert (report(), report()) == ([big], [])
    assert [kind for kind, _ in factories.recorded_events(database, big)] == ["created", "waiting"]
    assert [kind for kind, _ in factories.recorded_events(database, fitting)] == ["created"]


def test_a_job_of_a_later_version_than_any_worker_gets_one_event(database: Database) -> None:
    known, later = factories.queued(database), factories.queued(database)
    with database.write() as session:
        heartbeats.record(session, worker_id="a", hostname="host", pid=1, slots=1)
        session.execute(update(Job).where(Job.id == later).values(protocol=PROTOCOL + 1))
    with database.write() as session:
        assert report_unrunnable_jobs(session, worker_seen_seconds=60) == [later]
        assert report_unrunnable_jobs(session, worker_seen_seconds=60) == []
    assert [kind for kind, _ in factories.recorded_events(database, later)] == ["created", "waiting"]
    assert [kind for kind, _ in factories.recorded_events(database, known)] == ["created"]
