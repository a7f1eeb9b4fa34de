"""Periodic threads: they repeat, survive failures and stop."""

import logging
import threading

import pytest
from sqlalchemy.exc import OperationalError
from structlog.contextvars import bound_contextvars, get_contextvars

from tests.waiting import wait_until
from worker.periodic import PeriodicThread


def test_it_runs_again_after_the_pause_that_a_run_returns() -> None:
    pauses = iter([0.0, 0.0, 600.0])
    runs: list[float] = []

    def run_once() -> float:
        runs.append(next(pauses))
        return runs[-1]

    thread = PeriodicThread("counter", run_once, retry_seconds=600)
    thread.start()
    wait_until(lambda: len(runs) == 3, what="three runs")
    thread.stop(timeout=5)
    assert thread.stopping
    assert not thread._thread.is_alive()
    assert runs == [0.0, 0.0, 600.0]


@pytest.mark.parametrize(
    ("error", "level"), [(OperationalError("", {}, Exception("gone")), logging.WARNING), (ZeroDivisionError(), logging.ERROR)]
)
def test_a_failure_costs_a_line_in_the_log_and_not_the_thread(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    succeeded = threading.Event()
    failures = [error]

    def run_once() -> float:
        if failures:
            raise failures.pop()
        succeeded.set()
        return 600.0

    thread = PeriodicThread("fragile", run_once, retry_seconds=0.0)
    thread.start()
    assert succeeded.wait(5)
    thread.stop(timeout=5)
    assert [(record.levelno, "fragile" in record.getMessage()) for record in caplog.records] == [(level, True)]


def test_none_ends_the_thread() -> None:
    thread = PeriodicThread("once", lambda: None, retry_seconds=600)
    thread.start()
    wait_until(lambda: not thread._thread.is_alive(), seconds=5, what="the end of the thread")
    assert not thread.stopping


def test_the_first_run_can_be_delayed_and_a_thread_that_was_not_started_can_be_stopped() -> None:
    runs: list[int] = []
    thread = PeriodicThread("late", lambda: runs.append(1), retry_seconds=600, delay_seconds=600)
    thread.start()
    thread.stop(timeout=5)
    assert runs == []
    PeriodicThread("never", lambda: None, retry_seconds=600).stop(timeout=5)


def test_its_log_lines_have_the_fields_of_its_creator() -> None:
    """As a lease is made by the thread that runs the job."""
    bound: list[dict[str, object]] = []
    with bound_contextvars(job_id="job_1", attempt=2):
        thread = PeriodicThread("lease", lambda: bound.append(get_contextvars()), retry_seconds=600)
    thread.start()
    wait_until(lambda: bound, what="a run")
    thread.stop(timeout=5)
    assert bound == [{"job_id": "job_1", "attempt": 2}]
