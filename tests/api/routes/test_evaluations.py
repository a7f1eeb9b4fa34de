"""Evaluation routes: what is stored and listed, which rows are refused, and jobs that have no mask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pruning.spec.schema import PruningSpec
from service.db.engine import Database
from service.db.models import Job
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring
from tests.toy_datasets import opinions, write_splits

CUSTOM = {"dataset": "reviews", "text": ["sentence"], "label": "label", "labels": ["bad", "good"]}
TASKS: list[Any] = [
    "mnli",
    "stsb",
    "squad",
    "squad_v2",
    "cola",
    CUSTOM,
    {**CUSTOM, "kind": "multilabel"},
    {"dataset": "d", "text": ["words"], "label": "tags", "kind": "token-classification"},
]


@pytest.fixture
def local(client_with: Callable[..., TestClient], tmp_path: Path) -> TestClient:
    """A service with data sets in a folder, and no hub."""
    rows = opinions(20, 1)
    splits = {"train": rows, "validation": rows, "odd": [*rows[:4], {"sentence": "x", "label": 5}], "bare": [{"text": "x"}]}
    for name in ("sst2", "reviews"):
        write_splits(tmp_path / "datasets" / name, splits)
    return client_with(datasets_dir=tmp_path / "datasets", hub_enabled=False)


def upload(client: TestClient, **splits: str) -> str:
    files = {name: (f"{name}.csv", text.encode()) for name, text in splits.items()}
    answer = client.post("/v1/datasets", files=files)
    assert answer.status_code in (200, 201), answer.text
    identity: str = answer.json()["id"]
    return identity


def ask(client: TestClient, job_id: str, **body: Any) -> Any:
    return client.post(f"/v1/jobs/{job_id}/evaluations", json=body)


def test_a_job_by_a_method_that_is_no_longer_installed_is_evaluated(local: TestClient, jobs: Jobs, database: Database) -> None:
    pruned = jobs.succeeded()
    with database.write() as session:
        row = session.get_one(Job, pruned)
        row.spec = {**row.spec, "method": "not-installed", "prior": None}
    assert ask(local, pruned, split="train").status_code == 202
    assert local.post("/v1/jobs", json={**BODY, "method": "not-installed"}).status_code == 422


def test_a_finished_job_gets_jobs_that_evaluate_it(local: TestClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[object] = []
    monkeypatch.setattr("api.responses.job_documents.broker.notify_workers", rung.append)
    pruned = jobs.succeeded()
    answer = ask(local, pruned, split="train", rows=7, dense=True, priority=3)
    assert answer.status_code == 202
    made = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{made['id']}"
    assert (made["kind"], made["evaluation_of"], made["export_of"], made["priority"]) == ("evaluation", pruned, None, 3)
    assert made["evaluation"] == {"dataset": None, "config": None, "split": "train", "rows": 7, "dense": True}
    assert made["spec"] == local.get(f"/v1/jobs/{pruned}").json()["spec"] | {"devices": 1}
    assert local.get(f"/v1/jobs/{made['id']}").json() == made
    again = local.post(f"/v1/jobs/{pruned}/evaluations", json={}, headers={"Idempotency-Key": "k"})
    replayed = local.post(f"/v1/jobs/{pruned}/evaluations", json={}, headers={"Idempotency-Key": "k"})
    assert (replayed.json(), replayed.headers["idempotency-replayed"]) == (again.json(), "true")
    assert len(rung) == 2

    def listed(path: str, **query: str) -> list[str]:
        return [job["id"] for job in local.get(path, params=query).json()["data"]]

    ids = [again.json()["id"], made["id"]]
    assert listed(f"/v1/jobs/{pruned}/evaluations") == listed("/v1/jobs", kind="evaluation") == ids
    assert listed("/v1/jobs") == [pruned]
    assert listed("/v1/jobs", kind="export") == listed(f"/v1/jobs/{pruned}/exports") == []
    assert local.get(f"/v1/jobs/{pruned}").json()["kind"] == "pruning"
    assert local.delete(f"/v1/jobs/{pruned}").status_code == 204
    assert_problem(local.get(f"/v1/jobs/{ids[0]}"), 404, "job_not_found")
    assert_problem(local.get(f"/v1/jobs/{pruned}/evaluations"), 404, "job_not_found")


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_spec_has_the_other_data_set_and_resolves_to_itself(client: TestClient, jobs: Jobs, task: Any) -> None:
    made = ask(client, jobs.succeeded(task=task), dataset="org/other", config="en").json()
    assert made["evaluation"]["split"] == "validation"
    stored = PruningSpec.model_validate(made["spec"])
    assert stored.model_dump(mode="json") == made["spec"]
    named = made["spec"]["task"]
    assert (named["dataset"], named["config"], named["validation_split"]) == ("org/other", "en", "validation")
    before = PruningSpec.model_validate({**BODY, "task": task})
    assert (stored.task_info.text, stored.task_info.kind) == (before.task_info.text, before.task_info.kind)
    assert stored.label_words == before.label_words


@pytest.mark.parametrize(
    ("body", "code", "pointer", "words"),
    [
        ({"split": "test"}, "split_missing", "/split", "bare, odd, train, validation"),
        ({"dataset": "nowhere"}, "dataset_not_found", "/dataset", "nowhere"),
        ({"dataset": "reviews", "split": "odd"}, "labels_mismatch", "/dataset", "row 5"),
        ({"dataset": "reviews", "split": "bare"}, "column_missing", "/dataset", "sentence"),
        ({"dataset": "ds_" + "0" * 32}, "dataset_not_found", "/dataset", "ds_0"),
        ({"config": "en"}, "invalid_request", "/config", "dataset"),
        ({"rows": 0}, "invalid_request", "/rows", "1"),
        ({"splits": "test"}, "invalid_request", "/splits", ""),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_field_and_row(
    local: TestClient, jobs: Jobs, body: dict[str, Any], code: str, pointer: str, words: str
) -> None:
    refusal = assert_problem(ask(local, jobs.succeeded(), **body), 422, code)
    assert refusal["errors"][0]["pointer"] == pointer
    assert words in refusal["detail"] + refusal["errors"][0]["detail"]


def test_an_uploaded_data_set_is_checked_and_kept(client: TestClient, jobs: Jobs) -> None:
    pruned = jobs.succeeded()
    good = "sentence,label\nfine,positive\ndull,negative\n"
    fits = upload(client, train=good, march=good)
    made = ask(client, pruned, dataset=fits, split="march")
    assert made.status_code == 202
    assert_problem(client.delete(f"/v1/datasets/{fits}"), 409, "dataset_in_use")
    odd = upload(client, train=good, validation=good.replace("dull,negative", "dull,awful"))
    refusal = assert_problem(ask(client, pruned, dataset=odd), 422, "labels_mismatch")
    assert "row 2" in refusal["detail"]
    assert "'awful'" in refusal["detail"]
    refusal = assert_problem(ask(client, pruned, dataset=fits), 422, "split_missing")
    assert "march, train" in refusal["detail"]
    bare = upload(client, validation="text,label\nfine,positive\n")
    assert_problem(ask(client, pruned, dataset=bare), 422, "column_missing")


def test_only_a_job_that_has_a_mask_is_evaluated(client: TestClient, jobs: Jobs, database: Database) -> None:
    assert_problem(ask(client, "job_0"), 404, "job_not_found")
    pruned = jobs.succeeded()
    made = ask(client, pruned).json()["id"]
    with database.write() as session:
        claims.claim(session, worker_id="w", lease_seconds=600)
        claims.succeed(session, Fence(made, 1), result={}, mask_artifact_id=None)
    for path, body in (("evaluations", {}), ("exports", {"formats": ["csr"]})):
        refusal = assert_problem(client.post(f"/v1/jobs/{made}/{path}", json=body), 409, "job_has_no_mask")
        assert pruned in refusal["detail"]
    for name in ("mask.safetensors", "mask.espalier", "weights.safetensors"):
        assert_problem(client.get(f"/v1/jobs/{made}/artifacts/{name}"), 409, "job_has_no_mask")
    assert_problem(client.get(f"/v1/jobs/{made}/artifacts/evaluation.json"), 404, "artifact_not_found")
    assert_problem(ask(client, jobs.running()), 409, "job_not_succeeded")


def test_evaluations_count_against_the_quota(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    pruned = jobs.succeeded()
    assert_problem(ask(client_with(max_stored_bytes=4), pruned), 507, "quota_exceeded")


def test_another_owner_finds_no_job_and_the_queue_has_a_limit(
    client_with: Callable[..., TestClient], jobs: Jobs, database: Database
) -> None:
    keys = Keyring(database)
    client = client_with(require_keys=True, max_queued_jobs_per_owner=1)
    pruned = jobs.succeeded()
    with database.write() as session:
        session.get_one(Job, pruned).owner = "a"

    def post(owner: str) -> Any:
        return client.post(f"/v1/jobs/{pruned}/evaluations", json={}, headers=keys.header_of(owner))

    assert_problem(post("b"), 404, "job_not_found")
    assert post("a").json()["owner"] == "a"
    assert_problem(post("a"), 429, "too_many_queued_jobs")
