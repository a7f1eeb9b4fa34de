"""The OpenAPI document is complete: ids, problems, examples that are accepted."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.schemas import JobRequest

OPERATIONS = {
    "createJob", "listJobs", "getJob", "cancelJob", "pauseJob", "resumeJob", "retryJob", "deleteJob", "listEvents", "listMetrics",
    "getLog", "listArtifacts", "downloadArtifact", "headArtifact", "listTasks", "listMethods", "livez", "readyz", "metrics",
}  # fmt: skip


@pytest.fixture
def document(strict_client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = strict_client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_operation_ids(document: dict[str, Any]) -> None:
    assert sorted(operation["operationId"] for operation in operations(document)) == sorted(OPERATIONS)


def test_every_error_is_declared_as_a_problem(document: dict[str, Any]) -> None:
    for operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"500", "503"} <= errors.keys()
        for answer in errors.values():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
        parameters = {parameter["in"] for parameter in operation.get("parameters", [])}
        assert "path" not in parameters or "404" in errors
        assert not parameters & {"query"} or "422" in errors


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(value) for value in node.values()))
        return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    assert not any("HTTPValidationError" in reference for reference in references(document))


def test_examples_are_accepted(document: dict[str, Any]) -> None:
    examples = document["components"]["schemas"]["JobRequest"]["examples"]
    assert examples
    for example in examples:
        JobRequest(**example)


def test_documentation_page(strict_client: TestClient) -> None:
    assert "swagger-ui" in strict_client.get("/docs").text
