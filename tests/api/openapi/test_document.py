"""The OpenAPI document is complete: ids, problems, examples that are accepted."""

from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from pydantic import BaseModel

from api.routes.secrets import SecretValue
from api.schemas.job_request import EvaluationRequest, ExportRequest, JobRequest
from api.schemas.predictions import PredictionRequest
from api.schemas.sweeps import SweepRequest
from api.schemas.webhooks import WebhookRequest

OPERATIONS = {
    "createJob",
    "listJobs",
    "getJob",
    "cancelJob",
    "pauseJob",
    "resumeJob",
    "retryJob",
    "deleteJob",
    "createExports",
    "listExports",
    "createEvaluation",
    "listEvaluations",
    "listEvents",
    "listMetrics",
    "getLog",
    "listArtifacts",
    "downloadArtifact",
    "headArtifact",
    "listMasks",
    "listModels",
    "listTasks",
    "listMethods",
    "createMask",
    "createModel",
    "getMask",
    "getModel",
    "downloadModelFile",
    "deleteMask",
    "deleteModel",
    "livez",
    "readyz",
    "metrics",
    "predict",
    "createDataset",
    "listDatasets",
    "getDataset",
    "listDatasetRows",
    "deleteDataset",
    "createSweep",
    "listSweeps",
    "getSweep",
    "getSweepResults",
    "getSweepPlotSvg",
    "getSweepPlotPng",
    "cancelSweep",
    "deleteSweep",
    "createWebhook",
    "listWebhooks",
    "getWebhook",
    "listDeliveries",
    "enableWebhook",
    "disableWebhook",
    "rotateWebhookSecret",
    "testWebhook",
    "deleteWebhook",
    "putHubToken",
    "getHubToken",
    "deleteHubToken",
}


@pytest.fixture
def document(strict_client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = strict_client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()  # by the schema of OpenAPI itself; raises


def test_operation_ids(document: dict[str, Any]) -> None:
    assert sorted(operation["operationId"] for operation in operations(document)) == sorted(OPERATIONS)


def test_every_error_is_declared_as_a_problem(document: dict[str, Any]) -> None:
    for operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"500", "503"} <= errors.keys()
        for answer in errors.values():
            assert answer["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        parameters = {parameter["in"] for parameter in operation.get("parameters", [])}
        assert "path" not in parameters or "404" in errors
        assert not parameters & {"query"} or "422" in errors


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(value) for value in node.values()))
        return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()

    known = {f"#/components/{kind}/{name}" for kind in ("schemas", "links") for name in document["components"][kind]}
    assert references(document) <= known
    assert not any("HTTPValidationError" in reference for reference in references(document))


REQUESTS: dict[str, type[BaseModel]] = {
    "JobRequest": JobRequest,
    "SweepRequest": SweepRequest,
    "WebhookRequest": WebhookRequest,
    "PredictionRequest": PredictionRequest,
    "SecretValue": SecretValue,
    "ExportRequest": ExportRequest,
    "EvaluationRequest": EvaluationRequest,
}


def test_every_operation_explains_itself(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert operation["summary"]
        assert operation["description"], operation["operationId"]
        assert operation["tags"]
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (operation["operationId"], parameter["name"])
            assert parameter["in"] != "path" or parameter["schema"]["examples"]
            assert "null" not in str(parameter["schema"])  # no URL and no header can be that
        for answer in operation["responses"].values():
            assert answer["description"]


def test_every_body_has_examples_that_are_accepted(document: dict[str, Any]) -> None:
    seen = set()
    for operation in operations(document):
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            assert {"413", "415", "422", "400"} <= operation["responses"].keys(), operation["operationId"]
            if kind == "application/json":
                name = body["schema"]["$ref"].rpartition("/")[2]
                examples = document["components"]["schemas"][name]["examples"]
                assert examples
                for example in examples:
                    REQUESTS[name](**example)
                seen.add(name)
            else:
                properties = body["schema"]["properties"]
                assert "file" in properties or properties["train"]["examples"]  # a model is too long for an example
    assert seen == REQUESTS.keys()


def test_created_things_are_linked_to_the_operations_that_take_their_id(document: dict[str, Any]) -> None:
    def linked(name: str, status: str) -> set[str]:
        (operation,) = [one for one in operations(document) if one["operationId"] == name]
        return {*operation["responses"][status]["links"]}

    made = linked("createJob", "202")
    assert made == linked("retryJob", "202") == linked("createExports", "202") == linked("createEvaluation", "202")
    assert made >= {"getJob", "cancelJob", "listEvents", "predict", "createExports"}
    assert linked("createDataset", "200") == linked("createDataset", "201") >= {"getDataset", "listDatasetRows"}
    assert linked("listArtifacts", "200") == {"downloadArtifact", "headArtifact"}
    for operation in operations(document):
        takes_an_id = any(parameter["in"] == "path" for parameter in operation.get("parameters", ()))
        assert takes_an_id == (operation["operationId"] in document["components"]["links"])


def test_documentation_page(strict_client: TestClient) -> None:
    assert "swagger-ui" in strict_client.get("/docs").text
