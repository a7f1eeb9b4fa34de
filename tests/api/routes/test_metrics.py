"""Prometheus metrics have the numbers of the tables."""

from typing import NoReturn

import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.jobs import claims
from service.jobs.fence import Fence
from service.jobs.reaper import reap_expired_leases
from tests.api.conftest import Jobs
from tests.recorded_traces import RecordedTraces, trace_id

BOUNDED = {"status", "le", "route", "method", "pool", "kind", "component", "version", "python"}
"""Labels whose values no user chooses."""
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}
"""As Prometheus asks."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def scrape(client: TestClient) -> dict[tuple[str, str], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            assert set(sample.labels) <= BOUNDED
            labels = ",".join(sample.labels[name] for name in ("status", "kind", "le") if name in sample.labels)
            found[sample.name, labels] = sample.value
    return found


def test_an_empty_service(client: TestClient) -> None:
    found = scrape(client)
    assert found["espalier_jobs", "queued"] == found["espalier_workers", ""] == 0
    assert found["espalier_oldest_queued_seconds", ""] == found["espalier_runs_total", ""] == 0


def test_values_of_the_metrics(client: TestClient, jobs: Jobs, database: Database) -> None:
    jobs.worker()
    jobs.succeeded()
    lost = jobs.running()
    with database.write() as session:
        claims.set_progress(session, Fence(lost, 1), device="cuda:0")
        session.execute(update(Job).where(Job.id == lost).values(claimed_at=now_sql(-100), lease_expires_at=now_sql(-1)))
        reap_expired_leases(session, max_attempts=3, retry_delay_seconds=0)
        session.execute(update(Job).where(Job.id == lost).values(not_before=now_sql(-50)))
    found = scrape(client)
    assert (found["espalier_jobs", "queued"], found["espalier_jobs", "succeeded"]) == (1, 1)
    assert (found["espalier_workers", ""], found["espalier_worker_slots", ""]) == (1, 1)
    assert (found["espalier_runs_total", ""], found["espalier_runs_failed_total", ""]) == (2, 1)
    assert found["espalier_lease_expiries_total", ""] == 1
    assert 50 <= found["espalier_oldest_queued_seconds", ""] < 80
    assert 100 <= found["espalier_gpu_seconds_total", ""] <= found["espalier_run_seconds_total", ""] < 130
    ended = "espalier_job_duration_seconds"
    assert found[f"{ended}_count", "succeeded"] == found[f"{ended}_bucket", "succeeded,30.0"] == 1
    assert 0 <= found[f"{ended}_sum", "succeeded"] < 30


def test_a_run_under_way_counts_so_far(client: TestClient, jobs: Jobs, database: Database) -> None:
    job_id = jobs.running()
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(claimed_at=now_sql(-40)))
    assert 40 <= scrape(client)["espalier_run_seconds_total", ""] < 70


def test_bytes_of_artifacts_are_summed(client: TestClient, jobs: Jobs) -> None:
    jobs.artifact(jobs.running(), b"12345", name="report.html")
    assert scrape(client)["espalier_stored_bytes", "artifacts"] == 5


def exemplars(client: TestClient) -> dict[str, dict[str, str]]:
    """Of the latencies, by route."""
    answer = client.get("/metrics", headers=OPENMETRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    (seconds,) = (found for found in parse_openmetrics(answer.text) if found.name == "espalier_http_request_seconds")
    return {sample.labels["route"]: sample.exemplar.labels for sample in seconds.samples if sample.exemplar}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_openmetrics_has_the_trace_of_a_request(client: TestClient) -> None:
    client.get("/livez", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert exemplars(client) == {"/livez": {"trace_id": TRACE}}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_openmetrics_has_the_trace_that_the_service_began(traces: RecordedTraces, client: TestClient) -> None:
    client.get("/livez")
    client.get("/v1/jobs")
    assert exemplars(client) == {path: {"trace_id": trace_id(traces.named(f"GET {path}"))} for path in ("/livez", "/v1/jobs")}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_process_is_still_measured_while_the_database_is_unreachable(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scrape(client)["espalier_database_up", ""] == 1

    def refuse(_: Database) -> NoReturn:
        raise OperationalError("SELECT", None, Exception("away"))

    monkeypatch.setattr(Database, "read", refuse)
    found = scrape(client)
    assert found["espalier_database_up", ""] == 0
    assert found["espalier_build_info", ""] == 1
    assert "espalier_workers" not in {name for name, _ in found}
