"""Jobs whose worker fell silent."""

from jobs import claims
from jobs.db import Database
from jobs.rescue import WORKER_LOST, queued_due, rescue
from jobs.states import Status
from tests.jobs import making


def sweep(database: Database, max_attempts: int = 3, retry_delay_seconds: float = 0) -> list[str]:
    with database.write() as session:
        return rescue(session, max_attempts=max_attempts, retry_delay_seconds=retry_delay_seconds)


def test_a_job_with_a_lease_stays_where_it_is(database: Database) -> None:
    job = making.running(database)
    assert sweep(database) == []
    assert making.look(database, job.id).status is Status.RUNNING


def test_a_lost_job_is_queued_again(database: Database) -> None:
    job = making.running(database)
    making.lapse(database, job.id)
    assert sweep(database) == [job.id]
    assert sweep(database) == []
    back = making.look(database, job.id)
    assert (back.status, back.attempt, back.attempts_spent) == (Status.QUEUED, 1, 1)
    assert making.told(database, job.id)[-1] == (
        "status", {"status": "queued", "reason": "worker_lost", "error": WORKER_LOST, "delay_seconds": 0.0},
    )  # fmt: skip
    again = making.claim(database)
    assert again is not None
    assert again.attempt == 2


def test_a_job_that_loses_every_worker_fails(database: Database) -> None:
    job_id = making.queued(database)
    for _ in range(2):
        making.claim(database)
        making.lapse(database, job_id)
        assert sweep(database, max_attempts=2) == [job_id]
    assert making.claim(database) is None
    dead = making.look(database, job_id)
    assert (dead.status, dead.error, dead.attempts_spent) == (Status.FAILED, WORKER_LOST, 2)


def test_hand_backs_do_not_count_towards_the_cap(database: Database) -> None:
    making.queued(database)
    for _ in range(5):
        job = making.claim(database)
        assert job is not None
        with database.write() as session:
            claims.hand_back(session, job.id, job.attempt, reason="worker_shutdown")
    last = making.claim(database)
    assert last is not None
    making.lapse(database, last.id)
    sweep(database, max_attempts=2)
    assert making.look(database, last.id).status is Status.QUEUED


def test_many_lost_jobs_come_back_together(database: Database) -> None:
    ids = [making.queued(database) for _ in range(5)]
    for _ in ids:
        making.claim(database)
    making.lapse(database, *ids)
    assert sorted(sweep(database)) == sorted(ids)


def test_jobs_that_could_run_now_are_counted(database: Database) -> None:
    making.running(database)
    making.paused(database)
    making.queued(database)
    waiting = making.running(database, priority=1)
    with database.write() as session:
        claims.retry_or_fail(session, waiting.id, 1, error=making.LOST, retry_delay_seconds=60, max_attempts=3)
    with database.read() as session:
        assert queued_due(session) == 1
