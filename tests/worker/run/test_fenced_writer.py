"""Fenced writes: retried while the database is unreachable, and no longer than the lease holds."""

import threading

import pytest
from sqlalchemy.exc import OperationalError

from service.errors import LeaseLostError
from tests.waiting import FakeClock
from tests.worker.conftest import UnreachableDatabase, WorkerHarness, database_away, hold_lease
from worker.run.fenced_writer import FencedWriter

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_write_is_retried_until_the_database_answers(harness: WorkerHarness) -> None:
    harness.submit()
    calls = []

    def change(_session: object) -> int:
        calls.append(threading.get_ident())
        if len(calls) < 3:
            raise database_away()
        return 7

    with hold_lease(harness, seconds=30) as held:
        assert FencedWriter(harness.context.database, held).write(change) == 7
    assert len(calls) == 3


def test_a_write_is_retried_no_longer_than_the_length_of_a_lease(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr("worker.run.fenced_writer.time", clock)
    harness.submit()
    began = clock.monotonic()
    with hold_lease(harness, seconds=600) as held, pytest.raises(OperationalError):
        FencedWriter(UnreachableDatabase(harness.context.database.url), held).write(lambda _: None)
    assert clock.monotonic() - began >= 600


def test_a_write_during_a_freeze_raises_lease_lost_and_no_connection_error(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("worker.run.lease.time", clock)
    harness.submit()
    held = hold_lease(harness, seconds=600)  # never renewed: its thread, not started here, would be frozen too

    def frozen(_session: object) -> None:
        clock.advance(601)
        raise database_away()

    with pytest.raises(LeaseLostError):
        FencedWriter(harness.context.database, held).write(frozen)
