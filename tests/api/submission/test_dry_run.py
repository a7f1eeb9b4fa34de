"""A dry run says what a submission would be, refuses what it would refuse, and creates nothing."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from pruning.spec.schema import PruningSpec
from service.db.engine import Database
from service.db.models import Event, Job, StoredResponse
from service.jobs import heartbeats
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem

SHORT = BODY | {"max_steps": 300, "batch_size": 8, "sparsity": 0.97}


def dry_run(client: TestClient, body: dict[str, Any], key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/v1/jobs", params={"dry_run": "true"}, json=body, headers=headers)


def finished(jobs: Jobs, *, rate: float, owner: str = "local", baseline: dict[str, Any] | None = None, **spec: Any) -> None:
    """A job of 1,000 x 8 rows that has succeeded: its rows at ``rate``, and 10 s of everything else."""
    job_id = jobs.succeeded(**{"max_steps": 1000, "batch_size": 8, "sparsity": SHORT["sparsity"], **spec})
    values = {
        "owner": owner,
        "metrics": {"rows_per_second": rate},
        "result": {"seconds": 8000 / rate + 10, "steps": 1000, "masked_weights": 1_000_000, "baseline": baseline},
    }
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(values))


def test_a_dry_run_says_what_the_job_would_be_and_creates_nothing(client: TestClient, database: Database) -> None:
    for priority in (5, -5):
        assert client.post("/v1/jobs", json=BODY | {"priority": priority}).status_code == 202
    with database.write() as session:
        heartbeats.record(session, worker_id="w", hostname="h", pid=1, slots=2)
    answer = dry_run(client, SHORT, key="k")
    assert answer.status_code == 200
    found = answer.json()
    assert found["spec"] == PruningSpec(**SHORT).model_dump(mode="json")
    assert (found["steps"], found["rows_per_step"], found["rows"], found["train_rows"]) == (300, 8, 2400, 67_349)
    assert found["queue"] == {"ahead": 1, "running": 0, "workers": 1, "slots": 2}
    assert found["estimate"] is None
    assert [warning["code"] for warning in found["warnings"]] == ["budget_small"]
    with database.read() as session:
        assert len(session.scalars(select(Job)).all()) == 2
        assert len(session.scalars(select(Event)).all()) == 2
        assert session.scalars(select(StoredResponse)).all() == []
    assert client.post("/v1/jobs", json=SHORT, headers={"Idempotency-Key": "k"}).status_code == 202


def test_epochs_become_steps_where_the_rows_are_known(client: TestClient) -> None:
    known = dry_run(client, BODY | {"epochs": 1, "batch_size": 64}).json()
    assert (known["steps"], known["rows"]) == (1053, 1053 * 64)
    task = {"dataset": "org/set", "text": ["a"], "label": "y", "label_words": ["good", "bad"]}
    unknown = dry_run(client, {"model": BODY["model"], "task": task, "epochs": 1}).json()
    assert (unknown["steps"], unknown["rows"], unknown["warnings"]) == (None, None, [])


@pytest.mark.parametrize("body", [BODY | {"sparsity": 2}, BODY | {"max_steps": 1}, {"task": "sst2"}])
def test_what_a_submission_refuses_a_dry_run_refuses_in_the_same_way(client: TestClient, body: dict[str, Any]) -> None:
    submitted, tried = client.post("/v1/jobs", json=body), dry_run(client, body)
    assert tried.status_code == submitted.status_code == 422
    assert tried.json()["errors"] == submitted.json()["errors"]
    assert_problem(tried, 422, "invalid_request")


def test_a_baseline_takes_its_own_steps_and_time(client: TestClient, jobs: Jobs) -> None:
    finished(jobs, rate=80.0)
    plain, guessed = (dry_run(client, SHORT | {"baseline": asked}).json() for asked in (False, True))
    assert (plain["baseline_steps"], guessed["baseline_steps"], guessed["steps"]) == (0, 300, 300)
    assert plain["estimate"]["seconds"] == 2400 / 80 + 10
    assert guessed["estimate"]["seconds"] > 2 * 2400 / 80 + 10
    finished(jobs, rate=80.0, baseline={"rows_per_second": 40.0})
    known = dry_run(client, SHORT | {"baseline": True}).json()["estimate"]
    assert (known["seconds"], known["rows_per_second"]) == (2400 / 80 + 10 + 2400 / 40, 80)
    refused = dry_run(client, {"model": BODY["model"], "task": "sst2", "method": "wanda", "baseline": True})
    assert_problem(refused, 422, "invalid_request")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/baseline"]


def test_the_time_comes_from_runs_that_are_alike(client: TestClient, jobs: Jobs) -> None:
    finished(jobs, rate=80.0)
    finished(jobs, rate=40.0, task="mrpc")
    finished(jobs, rate=20.0, owner="other")
    estimate = dry_run(client, SHORT).json()["estimate"]
    assert estimate == {"seconds": 40.0, "rows_per_second": 80.0, "basis": "same_model_and_task", "jobs": 1}
    estimate = dry_run(client, SHORT | {"max_length": 40}).json()["estimate"]
    assert estimate == {"seconds": 50.0, "rows_per_second": 60.0, "basis": "same_model", "jobs": 2}
    for further in ({"distill_states": 1.0}, {"teacher": "textattack/bert-base-uncased-SST-2"}):
        assert dry_run(client, SHORT | further).json()["estimate"]["basis"] == "same_model"
    assert dry_run(client, SHORT | {"model": "another"}).json()["estimate"] is None
