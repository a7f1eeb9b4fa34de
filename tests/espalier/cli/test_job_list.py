"""The list of jobs at several widths, and the words of one job."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from espalier.cli import job_text
from espalier.cli.job_list import jobs_table, short_ids
from espalier.client.models import Job

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WAITS = {"job_01jd3xkbm8v6q2zr9w4t7y1n0b": "behind 2 jobs"}


def job(number: str, status: str, **fields: Any) -> Job:
    made = {
        "id": f"job_01jd3xk{number}m8v6q2zr9w4t7y1n0b",
        "status": status,
        "created_at": NOW - timedelta(minutes=3),
        "spec": {"model": "answerdotai/ModernBERT-base", "task": "sst2", "method": "smp-s", "sparsity": 0.9},
    }
    return Job.model_validate(made | fields)


RESULT = {"primary_metric": "accuracy", "before": {"accuracy": 0.912}, "final": {"accuracy": 0.904}, "sparsity": 0.9}
FOUND = [
    job("a", "running", phase="training", progress={"step": 40, "total_steps": 300, "eta_seconds": 61.0}),
    job("b", "queued"),
    job("c", "succeeded", result=RESULT, started_at=NOW, finished_at=NOW + timedelta(seconds=65)),
    job("d", "failed", error={"code": "diverged", "message": "no"}, warnings=[{"code": "a", "message": "b"}]),
]


def drawn(width: int | None, found: list[Job] = FOUND) -> list[str]:
    out = StringIO()
    Console(file=out, width=width or 10_000).print(jobs_table(found, WAITS, width))
    return out.getvalue().splitlines()


def test_at_80_columns_state_age_duration_metric_and_reason_are_whole() -> None:
    lines = drawn(80)
    assert len(lines) == 5
    assert all(len(line.rstrip()) <= 80 for line in lines)
    running, queued, succeeded, failed = lines[1:]
    assert running.startswith("● running")
    assert "13 %, 61 s left" in running
    assert queued.rstrip().endswith("behind 2 jobs")
    assert all(each in succeeded for each in ("✓ succeeded", "0.912 → 0.904", "1:05"))
    assert failed.rstrip().endswith("diverged, 1 warning")
    assert "job_" not in "".join(lines)


def test_where_there_is_room_nothing_is_cut() -> None:
    for lines in (drawn(200), drawn(None)):
        assert all(each.id in line for each, line in zip(FOUND, lines[1:], strict=True))
        assert "answerdotai/ModernBERT-base" in lines[1]
        assert "accuracy 0.912 → 0.904" in lines[3]


def test_a_long_name_is_cut_and_takes_no_room_from_the_reason() -> None:
    long = job("e", "failed", error={"code": "max_duration_exceeded", "message": ""}, spec={"task": {"dataset": "d" * 40}})
    (_, line) = drawn(80, [long])
    assert "dddd…" in line
    assert line.rstrip().endswith("max_duration_exceeded")


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_keeps_a_line_for_each_job(width: int) -> None:
    lines = drawn(width)
    assert len(lines) == 5
    assert all(len(line) <= width for line in lines)


def test_cut_ids_differ() -> None:
    ids = [each.id for each in FOUND]
    assert short_ids(ids) == [each.removeprefix("job_")[:10] for each in ids]
    assert short_ids(["job_01jd3xk5m8aab", "job_01jd3xk5m8aaa"]) == ["01jd3xk5m8aab", "01jd3xk5m8aaa"]


def test_words_of_a_job() -> None:
    assert job_text.age(NOW, NOW + timedelta(seconds=7)) == "7 s"
    assert job_text.age(NOW, NOW + timedelta(hours=49)) == "2 d"
    assert (job_text.clock(7), job_text.clock(65), job_text.clock(7265)) == ("0:07", "1:05", "2:01:05")
    uploaded = job("a", "queued", spec={"task": {"dataset": "ds_" + "0f" * 16, "label": "topic"}})
    assert job_text.task_name(uploaded) == "topic (ds_0f0f0f)"
    assert job_text.doing(job("a", "running")) == "starting"
    assert job_text.doing(job("a", "running", cancel_requested_at="2026-11-30T12:00:00Z")) == "cancelling"
    assert job_text.doing(job("a", "queued", error={"code": "worker_lost", "message": ""}), "behind 1 job") == (
        "behind 1 job, before: worker_lost"
    )
    assert job_text.mark("of a newer service") == " "
