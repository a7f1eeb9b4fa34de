"""Leases: the worker trusts a lease no longer than the database does."""

import time

import pytest

from service.errors import LeaseLostError
from tests.waiting import FakeClock, wait_until
from tests.worker.conftest import UnreachableDatabase, WorkerHarness, hold_lease

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_lease_is_renewed(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    with hold_lease(harness, seconds=30):
        before = harness.job(job_id).lease_expires_at
        assert before is not None
        wait_until(lambda: harness.job(job_id).lease_expires_at != before, what="a heartbeat")


def test_a_lease_expires_by_the_clock_when_the_database_is_unreachable(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("worker.run.lease.time", clock)
    harness.submit()
    with hold_lease(harness, seconds=600, database=UnreachableDatabase(harness.context.database.url)) as held:
        clock.advance(500)
        wait_until(lambda: "the database is unreachable" in caplog.text, what="a heartbeat that failed")
        assert not held.lost
        clock.advance(101)
        assert held.lost
        with pytest.raises(LeaseLostError):
            held.require()


def test_a_process_that_was_stopped_finds_its_lease_lost_at_once(harness: WorkerHarness) -> None:
    harness.submit()
    assert hold_lease(harness, seconds=30, claimed_at=time.monotonic() - 31).lost
