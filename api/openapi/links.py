"""Links of the OpenAPI document: what can be done next with what an answer names. Called by ``api.openapi.document``.

They tell generated clients, and the tests that walk the whole interface, that the ``id`` of a new job is the ``job_id`` of
other paths.
"""

from typing import Any

_NAMED: dict[str, tuple[str, ...]] = {
    "job_id": ("createJob", "retryJob", "createExports"),
    "sweep_id": ("createSweep",),
    "dataset_id": ("createDataset",),
    "webhook_id": ("createWebhook",),
}
"""Parameter of paths → operations whose answer has it as ``id``."""
_LISTED = "listArtifacts"
"""The operation that tells the second parameter, ``name``, of paths below a job."""


def add_links(document: dict[str, Any]) -> None:
    """Link every operation that makes something to all that take its id."""
    operations = {
        operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()
    }
    links: dict[str, Any] = {}
    for name, operation in operations.items():
        asked = tuple(one["name"] for one in operation.get("parameters", ()) if one["in"] == "path")
        if len(asked) == 1:
            links[name] = {"operationId": name, "parameters": {asked[0]: "$response.body#/id"}}
            _refer(operations, _NAMED[asked[0]], name)
        elif asked:
            found = {"job_id": "$request.path.job_id", "name": "$response.body#/data/0/name"}
            links[name] = {"operationId": name, "parameters": found}
            _refer(operations, (_LISTED,), name)
    document["components"]["links"] = links


def _refer(operations: dict[str, Any], makers: tuple[str, ...], name: str) -> None:
    for maker in makers:
        for status, response in operations[maker]["responses"].items():
            if status.startswith("2"):
                response.setdefault("links", {})[name] = {"$ref": f"#/components/links/{name}"}
