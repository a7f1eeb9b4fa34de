"""Log lines of all processes: JSON with the fields that are bound, uncaught exceptions, levels; nothing forged, no secret."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from service.log_format import log_handler
from service.log_settings import LogSettings
from service.tracing import spans
from tests.processes import ROOT
from tests.recorded_traces import RecordedTraces, span_id, trace_id

JSON = LogSettings(log_format="json")
FORGED = 'a"}\n{"level": "info"}\r\x1b[31m\u2028'
PROGRAM = """
import logging, sys, threading, warnings
from service.log_format import configure
configure("worker")
for name in ("service.x", "celery.x", "uvicorn.error", "sqlalchemy.x"):
    for level in (logging.DEBUG, logging.INFO, logging.ERROR):
        logging.getLogger(name).log(level, "said")
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0, name="odd")
thread.start()
thread.join()
raise ValueError("cannot connect\\nto redis://:hunter22@cache/0")
"""


def record(message: str, *values: object, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("service.x")
    return logger.makeRecord("service.x", logging.INFO, __file__, 1, message, values, None, extra=extra)


def line(of: logging.LogRecord) -> dict[str, Any]:
    text = log_handler("api", JSON).format(of)
    assert len(text.splitlines()) == 1
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_line_has_its_own_fields_and_those_that_are_bound() -> None:
    with bound_contextvars(job_id="job_1", attempt=2, owner="a", trace_id="0f", key_id=None):
        fields = line(record("%d jobs", 3, status=200, duration_ms=1.5, other="left out"))
    age = datetime.now(UTC) - datetime.fromisoformat(fields.pop("timestamp"))
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert fields == {
        "level": "info",
        "role": "api",
        "logger": "service.x",
        "event": "3 jobs",
        "status": 200,
        "duration_ms": 1.5,
        "owner": "a",
        "job_id": "job_1",
        "attempt": 2,
        "trace_id": "0f",
    }


def test_a_line_names_the_span_that_it_was_logged_in(traces: RecordedTraces) -> None:
    with spans.span("outer"):
        fields = line(record("in it"))
    outer = traces.named("outer")
    assert (fields["trace_id"], fields["span_id"]) == (trace_id(outer), span_id(outer))
    assert line(record("after it")).keys() & {"trace_id", "span_id"} == set()


def test_what_a_user_writes_forges_no_line() -> None:
    with bound_contextvars(job_id=FORGED):
        fields = line(record("claimed: %s", FORGED, path=FORGED))
    assert (fields["event"], fields["path"], fields["job_id"]) == (f"claimed: {FORGED}", FORGED, FORGED)


def test_secrets_are_left_out_of_every_field() -> None:
    secret = "hf_abcdefghijklmnopqrstuvwx"
    with bound_contextvars(owner=secret, unknown=[secret]):
        text = log_handler("api", JSON).format(record("refused %s", secret, path=f"/{secret}"))
    assert secret not in text
    assert text.count("[secret]") == 4


def run_program(log_format: str, level: str) -> tuple[list[str], str]:
    """The lines of a process that logs on all levels and ends by an exception, and all of them as one text."""
    environment = {"PATH": "/bin", "PYTHONPATH": str(ROOT), "ESPALIER_LOG_FORMAT": log_format, "ESPALIER_LOG_LEVEL": level}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", {"service.x": 3, "celery.x": 2, "uvicorn.error": 2, "sqlalchemy.x": 1}),
        ("error", {"service.x": 1, "celery.x": 1, "uvicorn.error": 1, "sqlalchemy.x": 1}),
    ],
)
def test_a_process_logs_libraries_less_and_ends_with_a_line(level: str, said: dict[str, int]) -> None:
    lines, text = run_program("json", level)
    found = [json.loads(each) for each in lines]
    assert {name: sum(each["logger"] == name and each["event"] == "said" for each in found) for name in said} == said
    assert {each["role"] for each in found} == {"worker"}
    thread, last = found[-2:]
    assert "odd" in thread["event"]
    assert thread["exception"].endswith("ZeroDivisionError: division by zero")
    assert last["level"] == "critical"
    assert last["exception"].endswith("ValueError: cannot connect\nto redis://***@cache/0")
    assert "hunter22" not in text
    assert ("old" in text) == (level == "debug")


def test_settings_that_cannot_be_used_are_left_to_those_who_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The format must be known before the other settings are read."""
    lines, _ = run_program("yaml", "loud")
    assert all(json.loads(each) for each in lines), "standard error is no terminal"
    environment = {"PATH": "/bin", "PYTHONPATH": str(ROOT), "ESPALIER_LOG_FORMAT": "yaml", "ESPALIER_DATA_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "worker"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "ESPALIER_LOG_FORMAT='yaml'" in done.stderr
