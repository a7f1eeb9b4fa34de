"""Concurrent writers of the same rows, with real threads and real processes, on both databases."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.db.engine import Database
from service.errors import IllegalTransitionError, JobNotFoundError, LeaseLostError
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence
from service.jobs.reaper import reap_expired_leases
from service.states import Status
from tests.service import factories
from tests.waiting import wait_until

_ROUNDS = 8


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Start all at the same instant; what each returned, or the LeaseLostError or IllegalTransitionError it raised."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return act()
        except (LeaseLostError, IllegalTransitionError) as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_eight_threads_claim_twenty_jobs_once_each(database: Database) -> None:
    ids = [factories.queued(database) for _ in range(20)]

    def claim_all(name: str) -> list[str]:
        return [job.id for job in iter(lambda: factories.claim(database, worker_id=name), None)]

    taken = together(*(lambda name=f"w{n}": claim_all(name) for n in range(8)))
    assert sorted(job_id for of_one in taken for job_id in of_one) == sorted(ids)
    assert all(factories.load(database, job_id).attempt == 1 for job_id in ids)


_CLAIMER = """
import sys
from service.jobs import claims
from service.db.engine import Database
database = Database(sys.argv[1])
input()
while True:
    with database.write() as session:
        job = claims.claim(session, worker_id=sys.argv[2], lease_seconds=60)
    if job is None:
        break
    print(job.id)
"""


def test_three_processes_claim_twenty_jobs_once_each(database: Database, database_url: str) -> None:
    ids = [factories.queued(database) for _ in range(20)]
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMER, database_url, f"w{n}"],
            cwd=root,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    taken = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0] * 3
    assert sorted(taken) == sorted(ids)


def test_events_written_from_many_threads_have_no_gaps(database: Database) -> None:
    job = factories.running(database)

    def write(thread: int) -> None:
        for number in range(10):
            with database.write() as session:
                claims.record_event(session, Fence(job.id, 1), "log", {"thread": thread, "number": number})

    def request() -> None:
        with database.write() as session:
            commands.request_cancel(session, job.id)

    together(*(lambda thread=thread: write(thread) for thread in range(4)), request)
    events = factories.recorded_events(database, job.id)  # checks the numbering
    assert len(events) == 2 + 40 + 1
    for thread in range(4):  # and each thread's own stay in order
        assert [data["number"] for _, data in events if data.get("thread") == thread] == list(range(10))


def test_a_heartbeat_and_a_reaper_agree_on_who_owns_the_job(database: Database) -> None:
    for _ in range(_ROUNDS):
        job = factories.running(database)
        factories.expire_leases(database, job.id)

        def beat(job_id: str = job.id) -> claims.ControlRequests:
            with database.write() as session:
                return claims.renew_lease(session, Fence(job_id, 1), lease_seconds=60)

        def sweep() -> list[str]:
            with database.write() as session:
                return reap_expired_leases(session, max_attempts=3, retry_delay_seconds=60)

        beaten, rescued = together(beat, sweep)
        if rescued:
            assert isinstance(beaten, LeaseLostError)
            assert factories.load(database, job.id).status is Status.QUEUED
        else:
            assert beaten == claims.ControlRequests(cancel=False, pause=False)
            assert factories.load(database, job.id).status is Status.RUNNING
            with database.write() as session:
                claims.cancel(session, Fence(job.id, 1))


def test_concurrent_cancel_and_success_end_in_one_state(database: Database, tmp_path: Path) -> None:
    for _ in range(_ROUNDS):
        job = factories.running(database)
        mask = factories.store_file(database, job, tmp_path / "mask", b"mask")

        def cancel(job_id: str = job.id) -> Status:
            with database.write() as session:
                return commands.request_cancel(session, job_id).status

        def finish(job_id: str = job.id, mask: int = mask) -> Status:
            with database.write() as session:
                return claims.succeed(session, Fence(job_id, 1), result={}, mask_artifact_id=mask).status

        asked, finished = together(cancel, finish)
        assert finished is Status.SUCCEEDED  # a request does not stop the worker; the first to change the row wins
        assert asked is Status.RUNNING or isinstance(asked, IllegalTransitionError)
        assert [data["status"] for event, data in factories.recorded_events(database, job.id) if event == "status"] == [
            "running",
            "succeeded",
        ]


def test_concurrent_cancel_and_claim_end_in_one_state(database: Database) -> None:
    for _ in range(_ROUNDS):
        job_id = factories.queued(database)

        def cancel(job_id: str = job_id) -> Status:
            with database.write() as session:
                return commands.request_cancel(session, job_id).status

        asked, claimed = together(cancel, lambda: factories.claim(database))
        job = factories.load(database, job_id)
        if claimed is None:
            assert asked is job.status is Status.CANCELLED
        else:
            assert asked is job.status is Status.RUNNING
            assert job.cancel_requested_at is not None


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_two_reapers_reap_once(database: Database, max_attempts: int) -> None:
    for _ in range(_ROUNDS):
        ids = [factories.queued(database) for _ in range(3)]
        for _ in ids:
            factories.claim(database)
        factories.expire_leases(database, *ids)

        def sweep() -> list[str]:
            with database.write() as session:
                return reap_expired_leases(session, max_attempts=max_attempts, retry_delay_seconds=60)

        rescued = Counter(job_id for of_one in together(sweep, sweep) for job_id in of_one)
        assert rescued == Counter(ids)
        for job_id in ids:
            assert factories.load(database, job_id).attempts_spent == 1
            assert len(factories.recorded_events(database, job_id)) == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # where rows are locked one by one
@pytest.mark.parametrize("reference", ["export_of", "retried_from"])
def test_a_dependent_job_may_write_twice_while_its_origin_is_deleted(database: Database, tmp_path: Path, reference: str) -> None:
    ended = factories.succeeded(database, tmp_path)
    run = factories.running(database, exports=["csr"], **{reference: ended.id})

    def delete() -> None:
        with database.write() as session:
            commands.delete(session, ended.id)

    def waits() -> bool:
        with database.read() as session:
            waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            return bool(session.execute(text(f"SELECT count(*) {waiting}")).scalar_one())

    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            claims.record_event(session, Fence.from_row(run), "log", {})
            deletion = pool.submit(delete)
            wait_until(waits, what="the deletion to wait for the run")
            claims.record_event(session, Fence.from_row(run), "log", {})
        deletion.result(20)
    with database.read() as session, pytest.raises(JobNotFoundError):
        queries.get(session, ended.id)
