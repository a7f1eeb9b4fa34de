"""OpenAPI links: which operations take the id that a response returns. Called by ``api.openapi.document``.

Generated clients, and the tests over the whole interface, read from them that the ``id`` of a new job is the ``job_id``
of other paths.
"""

from typing import Any

_ID_SOURCES: dict[str, tuple[str, ...]] = {
    "job_id": ("createJob", "retryJob", "createExports", "createEvaluation"),
    "sweep_id": ("createSweep",),
    "dataset_id": ("createDataset",),
    "webhook_id": ("createWebhook",),
    "model_id": ("createModel",),
    "mask_id": ("createMask",),
}
"""Path parameter → operations whose response has it as ``id``."""
_NAME_SOURCE = "listArtifacts"
"""The operation whose response has the second parameter, ``name``, of paths below a job."""


def add_links(document: dict[str, Any]) -> None:
    """Link every operation that creates something to all operations that take its id."""
    operations = {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}
    links: dict[str, Any] = {}
    for name, operation in operations.items():
        parameters = tuple(one["name"] for one in operation.get("parameters", ()) if one["in"] == "path")
        if len(parameters) == 1:
            links[name] = {"operationId": name, "parameters": {parameters[0]: "$response.body#/id"}}
            _add_references(operations, _ID_SOURCES[parameters[0]], name)
        elif parameters and parameters[0] == "model_id":
            found = {"model_id": "$response.body#/id", "name": "$response.body#/files/0/name"}
            links[name] = {"operationId": name, "parameters": found}
            _add_references(operations, _ID_SOURCES["model_id"], name)
        elif parameters:
            found = {"job_id": "$request.path.job_id", "name": "$response.body#/data/0/name"}
            links[name] = {"operationId": name, "parameters": found}
            _add_references(operations, (_NAME_SOURCE,), name)
    document["components"]["links"] = links


def _add_references(operations: dict[str, Any], sources: tuple[str, ...], name: str) -> None:
    for source in sources:
        for status, response in operations[source]["responses"].items():
            if status.startswith("2"):
                response.setdefault("links", {})[name] = {"$ref": f"#/components/links/{name}"}
