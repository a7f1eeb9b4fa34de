"""Log lines of a worker: JSON objects and text, with the job they are about."""

import json
import logging

import pytest

from worker.log_format import JsonFormatter, TextFormatter, log_context


def record(level: int, message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("worker.run.loop", level, __file__, 1, message, values, None)


@pytest.mark.parametrize("attempt", [1, 2])
def test_one_line_of_text_names_the_job(attempt: int) -> None:
    with log_context(job="job_1", attempt=attempt):
        line = TextFormatter().format(record(logging.INFO, "claimed: %s,\n  sst2", "bert"))
        warned = TextFormatter().format(record(logging.WARNING, "the lease is lost"))
        document = json.loads(JsonFormatter().format(record(logging.INFO, "claimed: %s", "bert")))
    job = "job_1" if attempt == 1 else "job_1 (attempt 2)"
    assert line[8:] == f"  {job}  claimed: bert, sst2"
    assert warned[8:] == f"  {job}  warning: the lease is lost"
    assert (document["job"], document["attempt"], document["message"]) == ("job_1", attempt, "claimed: bert")


def test_a_line_about_no_job_and_a_traceback() -> None:
    assert TextFormatter().format(record(logging.INFO, "ready"))[8:] == "  ready"
    failed = record(logging.ERROR, "no")
    try:
        raise ValueError("deep")
    except ValueError as error:
        failed.exc_info = (ValueError, error, error.__traceback__)
    first, *others = TextFormatter().format(failed).splitlines()
    assert first.endswith("  error: no")
    assert others[-1] == "ValueError: deep"
