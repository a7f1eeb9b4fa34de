"""Error responses: every kind of error is a problem with a stable code that reveals nothing internal."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.app import create_app
from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec
from service.db.migrate import downgrade, upgrade
from service.settings import Settings
from tests.api.conftest import BODY, local
from tests.api.problems import assert_problem


def test_unknown_route(strict_client: TestClient) -> None:
    assert assert_problem(strict_client.get("/v2/jobs"), 404, "route_not_found")["instance"] == "/v2/jobs"


def test_wrong_method(strict_client: TestClient) -> None:
    for path, allowed in (
        ("/v1/jobs", "GET, HEAD, POST"),
        ("/v1/jobs/job_0", "DELETE, GET, HEAD"),
        ("/v1/jobs/job_0/artifacts/x", "GET, HEAD"),
    ):
        answer = strict_client.put(path, json=BODY)
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("content", [b"{", b"{'model': 1}", b'{"model": "\xff"}', b"[" * 100_000])
def test_malformed_json(strict_client: TestClient, content: bytes) -> None:
    assert_problem(
        strict_client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"}), 400, "malformed_body"
    )


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
def test_a_body_that_does_not_say_it_is_json(strict_client: TestClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    body = assert_problem(strict_client.post("/v1/jobs", content=b'{"model": "m"}', headers=headers), 415, "unsupported_media_type")
    assert "Content-Type: application/json" in body["detail"]


@pytest.mark.parametrize("body", [[], "x", 3, None])
def test_a_body_that_is_no_object(strict_client: TestClient, body: Any) -> None:
    assert_problem(strict_client.post("/v1/jobs", json=body), 422, "invalid_request")


def test_an_empty_body(strict_client: TestClient) -> None:
    assert_problem(strict_client.post("/v1/jobs"), 422, "invalid_request")


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"sparsity": 1.0}, "/sparsity", "less_than"),
        ({"sparsity": "0.9"}, "/sparsity", "float_type"),
        ({"seed": True}, "/seed", "int_type"),
        ({"one_shot": "no"}, "/one_shot", "bool_type"),
        ({"task": "sst3"}, "/task", "unknown_task"),
        ({"method": "smp-x"}, "/method", "literal_error"),
        ({"devices": 2, "method": "wanda"}, "/devices", "spec_conflict"),
        ({"model": "../etc"}, "/model", "model_name"),
        ({"sparcity": 0.9}, "/sparcity", "extra_forbidden"),
        ({"a/b~c": 0.9}, "/a~1b~0c", "extra_forbidden"),
        ({"ramp": 0.9, "hold": 0.9}, "/hold", "spec_conflict"),
        ({"max_steps": 1}, "/max_steps", "spec_conflict"),
        ({"label_words": ["a"]}, "/label_words", "spec_conflict"),
        ({"label_words": ["a", ""]}, "/label_words/1", "string_too_short"),
        ({"preset": "paper", "temperature": 2.0}, "/temperature", "preset_conflict"),
        ({"preset": {}}, "/preset", "literal_error"),
        ({"task": {"dataset": "d", "text": ["t"], "label_words": ["a", "b", ""]}}, "/task/label_words/2", "string_too_short"),
        ({"task": {"dataset": "d", "text": ["t"], "label_words": ["a"], "x": 1}}, "/task/x", "extra_forbidden"),
        ({"metadata": {"name": 3}}, "/metadata/name", "string_type"),
        ({"metadata": {"a.b": "x" * 513}}, "/metadata/a.b", "string_too_long"),
        ({"metadata": {str(n): "" for n in range(17)}}, "/metadata", "too_long"),
        ({"priority": 101}, "/priority", "less_than_equal"),
        ({"max_duration": 0}, "/max_duration", "greater_than"),
        ({"max_grad_norm": float("inf")}, "/max_grad_norm", "finite_number"),
        ({"metadata": {"k": "a\0"}}, None, "nul_character"),
    ],
)
def test_refused_fields(strict_client: TestClient, change: dict[str, Any], pointer: str | None, code: str) -> None:
    body = json.dumps(BODY | change)  # with Infinity, which is not JSON but what Python reads
    answer = strict_client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    (fault,) = assert_problem(answer, 422, "invalid_request")["errors"]
    assert (fault.get("pointer") or None, fault["code"]) == (pointer, code)


@pytest.mark.parametrize(
    "change",
    [
        {"sparsity": 1.0, "ramp": 0, "batch_size": 0},
        {"task": "sst3"},
        {"task": {"dataset": "/", "text": [], "label_words": ["a", ""]}},
        {"method": "wanda", "label_words": ["", "a"]},
        {"preset": "paper", "temperature": 2.0},
    ],
)
def test_faults_of_a_spec_are_those_that_the_trainer_reports(strict_client: TestClient, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        PruningSpec(**(BODY | change))
    expected = [("/" + fault["param"].replace(".", "/"), fault["code"]) for fault in error_details(caught.value)]
    faults = assert_problem(strict_client.post("/v1/jobs", json=BODY | change), 422, "invalid_request")["errors"]
    assert [(fault["pointer"], fault["code"]) for fault in faults] == expected


def test_all_faults_are_reported_at_once(strict_client: TestClient) -> None:
    answer = strict_client.post("/v1/jobs", json={"task": "nothing", "sparsity": 2, "metadata": {"": "x"}})
    pointers = {fault["pointer"] for fault in assert_problem(answer, 422, "invalid_request")["errors"]}
    assert {"/model", "/task", "/sparsity"} < pointers


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("status=done", "status"),
        ("method=x", "method"),
        ("model=%00", "model"),
    ],
)
def test_refused_parameters(strict_client: TestClient, query: str, parameter: str) -> None:
    (fault,) = assert_problem(strict_client.get(f"/v1/jobs?{query}"), 422, "invalid_request")["errors"]
    assert fault["parameter"] == parameter


@pytest.mark.parametrize("cursor", ["x", "%C3%A4", "AAAA"])
def test_a_made_up_cursor(strict_client: TestClient, cursor: str) -> None:
    (fault,) = assert_problem(strict_client.get(f"/v1/jobs?after={cursor}"), 422, "cursor_invalid")["errors"]
    assert fault["parameter"] == "after"


@pytest.mark.parametrize("job_id", ["job_0", "x", "job_%00", "JOB_0", "job_" + "0" * 300])
def test_unknown_jobs(client: TestClient, job_id: str) -> None:
    for rest in ("", "/events", "/metrics", "/log", "/artifacts", "/artifacts/mask.safetensors"):
        assert_problem(client.get(f"/v1/jobs/{job_id}{rest}"), 404, "job_not_found")


def test_an_unreachable_database(client_with: Callable[..., TestClient], settings: Settings) -> None:
    client = client_with(database_url="postgresql+psycopg://none@127.0.0.1:1/none")
    for answer in (client.post("/v1/jobs", json=BODY), client.get("/v1/jobs"), client.get("/readyz")):
        assert "127.0.0.1" not in assert_problem(answer, 503, "database_unavailable")["detail"]
        assert answer.headers["retry-after"]
    assert client.get("/livez").status_code == 200


def test_a_database_without_tables(settings: Settings) -> None:
    downgrade(settings.database_url, "base")
    try:
        with local(create_app(settings)) as client:
            assert_problem(client.get("/readyz"), 503, "database_outdated")
            assert client.get("/v1/jobs").status_code >= 500
    finally:
        upgrade(settings.database_url)
