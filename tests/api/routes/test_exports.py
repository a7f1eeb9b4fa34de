"""Exports asked for with a job: kept beside the spec, shown, repeated by a retry, and refused where they cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs import store
from jobs.db import Database
from tests import architectures
from tests.api.conftest import BODY, Jobs
from tests.api.test_errors import problem


def test_they_stand_beside_the_spec_and_a_retry_makes_them_too(
    client: TestClient, jobs: Jobs, database: Database
) -> None:
    job = client.post("/v1/jobs", json={**BODY, "exports": ["compact", "onnx-int8"]}).json()
    assert job["exports"] == ["compact", "onnx-int8"]
    assert "exports" not in job["spec"]
    assert client.get(f"/v1/jobs/{job['id']}").json()["exports"] == ["compact", "onnx-int8"]
    assert client.post("/v1/jobs", json=BODY).json()["exports"] == []
    client.post(f"/v1/jobs/{job['id']}/cancel")
    again = client.post(f"/v1/jobs/{job['id']}/retry").json()
    assert again["exports"] == ["compact", "onnx-int8"]
    with database.read() as session:
        assert store.get(session, again["id"]).exports == ["compact", "onnx-int8"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"exports": ["pickle"]}, "/exports/0"),
        ({"exports": ["csr", "csr"]}, "/exports"),
        ({"exports": ["onnx", "semi-structured"]}, "/exports/1"),
    ],
    ids=["unknown", "twice", "pattern"],
)
def test_what_cannot_be_is_refused_by_its_place(client: TestClient, change: dict[str, Any], pointer: str) -> None:
    (fault,) = problem(client.post("/v1/jobs", json=BODY | change), 422, "invalid_request")["errors"]
    assert fault["pointer"] == pointer


def test_semi_structured_goes_with_two_of_four(client: TestClient) -> None:
    body = {**BODY, "pattern": "2:4", "exports": ["semi-structured"]}
    assert client.post("/v1/jobs", json=body).status_code == 202


def test_a_local_model_of_another_type_cannot_be_compacted(
    client_with: Callable[..., TestClient], tmp_path: Path
) -> None:
    architectures.make(tmp_path / "models" / "small", "albert")
    client = client_with(models_dir=tmp_path / "models")
    body = {**BODY, "model": "small"}
    (fault,) = problem(client.post("/v1/jobs", json={**body, "exports": ["compact"]}), 422, "export_unsupported")[
        "errors"
    ]
    assert fault["pointer"] == "/exports/0"
    assert client.post("/v1/jobs", json={**body, "exports": ["onnx", "csr"]}).status_code == 202
