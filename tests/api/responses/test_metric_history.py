"""Metric history of a job: pages and CSV, one row per step, without the steps that a resumed run repeated."""

import csv
import io
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.responses import metric_history
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import Jobs


def test_metrics(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    for step in range(1, 6):
        jobs.metrics(job_id, step, loss=step / 4)
    jobs.metrics(job_id, 5, accuracy=0.5)
    url = f"/v1/jobs/{job_id}/metrics"
    rows = client.get(url).json()["data"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[-1] == {"step": 5, "attempt": 1, "values": {"loss": 1.25, "accuracy": 0.5}}
    paged: list[Any] = []
    after: str | None = "0"
    while after is not None:
        page = client.get(url, params={"limit": 2, "after": after}).json()
        paged += page["data"]
        after = page["next_cursor"]
    assert [row["step"] for row in paged] == [1, 2, 3, 4, 5]


def test_metrics_as_csv(client: TestClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_history, "_PAGE", 2)
    job_id = jobs.running()
    jobs.metrics(job_id, 1, loss=0.5)
    jobs.metrics(job_id, 2, loss=0.25, accuracy=0.5)
    url = f"/v1/jobs/{job_id}/metrics"
    asked = client.get(url, headers={"Accept": "text/csv"})
    assert asked.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(asked.text))) == [
        ["step", "attempt", "loss", "accuracy"],
        ["1", "1", "0.5", ""],
        ["2", "1", "0.25", "0.5"],
    ]
    assert client.get(url, params={"format": "csv"}).text == asked.text
    assert client.get(url, params={"format": "json"}, headers={"Accept": "text/csv"}).json()["data"]


def test_steps_that_a_resumed_run_repeats_count_once(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    jobs.metrics(job_id, 0, validation_accuracy=0.5)
    for step in (1, 2, 3, 4):
        jobs.metrics(job_id, step, loss=1.0)
    with jobs.database.write() as session:
        claims.requeue(session, Fence(job_id, 1), reason="shutdown")
        claims.claim(session, worker_id="w", lease_seconds=60)
    jobs.metrics(job_id, 0, attempt=2, validation_accuracy=0.5)  # every run evaluates the dense model
    for step in (3, 4, 5):
        jobs.metrics(job_id, step, attempt=2, loss=2.0)
    rows = client.get(f"/v1/jobs/{job_id}/metrics").json()["data"]
    assert [(row["step"], row["attempt"]) for row in rows] == [(1, 1), (2, 1), (0, 2), (3, 2), (4, 2), (5, 2)]
