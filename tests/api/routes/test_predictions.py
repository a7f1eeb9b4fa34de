"""Prediction route: which jobs, which callers, which texts."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.predictions.service import PredictionService
from service.db.models import ArtifactChunk
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.api.predictions.test_service import FAKE
from tests.api.problems import assert_problem


@pytest.fixture
def client(client: TestClient, settings: Settings) -> Iterator[TestClient]:
    """With a stand-in for the program that predicts."""
    services = client.app.state.services  # type: ignore[attr-defined]
    enabled = settings.model_copy(
        update={"predictions_enabled": True, "predictions_max_texts": 3, "predictions_max_characters": 20}
    )
    service = PredictionService(enabled, services.database, lambda _: [sys.executable, str(FAKE)])
    changed = type(services)(**{**vars(services), "settings": enabled, "predictions": service})
    client.app.state.services = changed  # type: ignore[attr-defined]
    yield client
    service.close()


def ask(client: TestClient, job_id: str, *texts: Any) -> Any:
    return client.post(f"/v1/jobs/{job_id}/predictions", json={"texts": list(texts)})


def test_texts_in_labels_out(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    answer = ask(client, job_id, "a", "b")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["job_id"], body["task"]) == (job_id, "sst2")
    assert [row["label"].split()[1:] for row in body["data"]] == [["mask", "a"], ["mask", "b"]]
    assert body["data"][0]["probabilities"] == {"a": 1.0}


def test_pairs_for_a_task_on_two_columns(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.succeeded(task="squad")
    assert ask(client, job_id, ["who?", "me"]).json()["data"][0]["label"].endswith("mask me")
    refusal = assert_problem(ask(client, job_id, ["who?", "me"], "alone"), 422, "text_shape")
    assert refusal["errors"][0]["pointer"] == "/texts/1"
    assert "question, context" in refusal["detail"]


def test_a_damaged_mask_is_not_predicted_with(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    with jobs.database.write() as session:
        session.execute(update(ArtifactChunk).values(data=b"MASK"))
    assert "mask.safetensors" in assert_problem(ask(client, job_id, "a"), 503, "storage_unavailable")["detail"]


REFUSED: tuple[tuple[list[Any], str, str], ...] = (
    (["a", ["b", "c"]], "text_shape", "/texts/1"),
    ([1], "text_shape", "/texts/0"),
    ([None], "text_shape", "/texts/0"),
    (["a"] * 4, "too_many_texts", "/texts"),
    (["a" * 15, "b" * 6], "texts_too_long", "/texts"),
    ([], "invalid_request", "/texts"),
)


def test_texts_that_do_not_fit(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    for texts, code, pointer in REFUSED:
        assert assert_problem(ask(client, job_id, *texts), 422, code)["errors"][0]["pointer"] == pointer


def test_half_a_surrogate_pair(client: TestClient, jobs: Jobs) -> None:
    url = f"/v1/jobs/{jobs.succeeded()}/predictions"
    answer = client.post(url, content=b'{"texts": ["\\ud800"]}', headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, "text_not_unicode")


def test_only_of_a_job_that_has_succeeded(client: TestClient, jobs: Jobs) -> None:
    assert_problem(ask(client, "job_none", "a"), 404, "job_not_found")
    job_id = jobs.running()
    assert "running" in assert_problem(ask(client, job_id, "a"), 409, "job_not_succeeded")["detail"]


def test_a_process_that_dies_is_a_503_with_retry_after(client: TestClient, jobs: Jobs) -> None:
    answer = ask(client, jobs.succeeded(), "die")
    assert_problem(answer, 503, "prediction_process_lost")
    assert answer.headers["retry-after"] == "5"


def test_a_service_that_does_not_predict_says_what_to_do(client: TestClient, jobs: Jobs) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    off = PredictionService(services.settings.model_copy(update={"predictions_enabled": False}), services.database)
    client.app.state.services = type(services)(**{**vars(services), "predictions": off})  # type: ignore[attr-defined]
    refusal = assert_problem(ask(client, jobs.succeeded(), "a"), 501, "predictions_unavailable")
    assert "ESPALIER_PREDICTIONS_ENABLED" in refusal["detail"]
