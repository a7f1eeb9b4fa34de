"""Leases and fenced writes: the worker trusts a lease no longer than the database does."""

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from service.db.engine import Database
from service.errors import LeaseLostError
from tests.waiting import wait_until
from tests.worker.conftest import WorkerHarness
from worker.run.fenced_writer import FencedWriter
from worker.run.lease import Lease

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def lease(
    harness: WorkerHarness, *, seconds: float, claimed_at: float | None = None, database: Database | None = None
) -> Lease:
    claimed = harness.claim()
    return Lease(
        database or harness.context.database, claimed.fence, lease_seconds=seconds,
        heartbeat_seconds=0.05, claimed_at=claimed.claimed_at if claimed_at is None else claimed_at,
    )  # fmt: skip


def away() -> OperationalError:
    return OperationalError("", {}, Exception("the database is away"))


class Absent(Database):
    """An unreachable database."""

    def write(self):  # type: ignore[no-untyped-def]
        raise away()


def test_a_lease_is_renewed(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    with lease(harness, seconds=30):
        before = harness.job(job_id).lease_expires_at
        assert before is not None
        wait_until(lambda: harness.job(job_id).lease_expires_at != before, what="a heartbeat")


def test_a_lease_expires_by_the_clock_when_the_database_is_away(harness: WorkerHarness) -> None:
    harness.submit()
    with lease(harness, seconds=0.3, database=Absent(harness.context.database.url)) as held:
        assert not held.lost
        wait_until(lambda: held.lost, seconds=5, what="the loss")
        with pytest.raises(LeaseLostError):
            held.require()


def test_a_process_that_was_stopped_finds_its_lease_lost_at_once(harness: WorkerHarness) -> None:
    harness.submit()
    assert lease(harness, seconds=30, claimed_at=time.monotonic() - 31).lost


def test_a_write_is_retried_until_the_database_answers(harness: WorkerHarness) -> None:
    harness.submit()
    calls = []

    def change(_session: object) -> int:
        calls.append(threading.get_ident())
        if len(calls) < 3:
            raise away()
        return 7

    with lease(harness, seconds=30) as held:
        assert FencedWriter(harness.context.database, held).write(change) == 7
    assert len(calls) == 3


def test_a_write_is_retried_no_longer_than_the_lease(harness: WorkerHarness) -> None:
    harness.submit()
    with lease(harness, seconds=0.3) as held, pytest.raises((OperationalError, LeaseLostError)):
        FencedWriter(Absent(harness.context.database.url), held).write(lambda _: None)


def test_a_write_during_a_freeze_raises_lease_lost_and_no_connection_error(
    harness: WorkerHarness,
) -> None:
    harness.submit()
    held = lease(harness, seconds=0.3)  # never renewed: its thread, not started here, would be frozen too

    def frozen(_session: object) -> None:
        wait_until(lambda: held.lost, seconds=5, what="the loss")
        raise away()

    with pytest.raises(LeaseLostError):
        FencedWriter(harness.context.database, held).write(frozen)
