"""Log lines for people: job and request named, nothing forged, requests that read left out."""

import logging
import sys

import pytest
from structlog.contextvars import bound_contextvars

from service.log_format import log_handler
from service.log_settings import LogSettings

CONSOLE = LogSettings(log_format="console")


def record(level: int, message: str, *values: object, **fields: object) -> logging.LogRecord:
    return logging.getLogger("worker.run").makeRecord("worker.run", level, __file__, 1, message, values, None, extra=fields)


def text(of: logging.LogRecord) -> str:
    """Without the time, which is local."""
    return log_handler("worker", CONSOLE).format(of)[len("12:34:56 ") :]


@pytest.mark.parametrize(("attempt", "ids"), [(1, "job_id=job_1"), (2, "job_id=job_1 attempt=2")])
def test_a_line_names_its_job(attempt: int, ids: str) -> None:
    with bound_contextvars(job_id="job_1", attempt=attempt, owner="local"):
        assert text(record(logging.INFO, "claimed: %s,\n  sst2", "bert")) == f"worker claimed: bert, sst2  {ids}"
        assert text(record(logging.WARNING, "the lease is lost")) == f"worker warning: the lease is lost  {ids}"
    assert text(record(logging.INFO, "ready")) == "worker ready"


def test_what_a_user_writes_forges_no_line_and_no_colour() -> None:
    try:
        raise ValueError("a\n12:00:00 api    all is well\x1b[31m")
    except ValueError:
        failed = record(logging.ERROR, "no\n\x1b[31m\u202e")
        failed.exc_info = sys.exc_info()
    first, *others = log_handler("worker", CONSOLE).format(failed).splitlines()
    assert first.endswith(r"worker error: no \x1b[31m\u202e")
    assert all(line.startswith("  ") for line in others)
    assert others[-1] == r"  12:00:00 api    all is well\x1b[31m"


@pytest.mark.parametrize(
    ("method", "status", "shown"), [("GET", 200, False), ("HEAD", 304, False), ("GET", 404, True), ("POST", 202, True)]
)
def test_requests_that_read_and_succeed_are_left_out(method: str, status: int, shown: bool) -> None:
    line = record(logging.INFO, "%s /v1/jobs %d", method, status, method=method, status=status)
    assert bool(log_handler("api", CONSOLE).filter(line)) == shown
    assert log_handler("api", LogSettings(log_format="json")).filter(line)
    assert log_handler("api", LogSettings(log_format="console", log_level="debug")).filter(line)
