"""The OpenAPI document: FastAPI's, with the problem schema, the responses of authentication, and links added.

Installed by ``api.app`` as ``app.openapi``, from where ``/openapi.json`` and ``api.errors.handlers`` take it.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors.problems import Problem, problem_responses
from api.openapi import links


def build_document(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``, built on first use and cached there."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _remove_fastapi_errors(document)
        _add_auth_responses(document)
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components |= schema.pop("$defs") | {"Problem": schema}
        _remove_nulls(document)
        links.add_links(document)
        app.openapi_schema = document
    if app.servers:  # FastAPI learns a proxy's path prefix from the first request for the document
        return {**app.openapi_schema, "servers": app.servers}
    return app.openapi_schema


def _add_auth_responses(document: dict[str, Any]) -> None:
    """Declare the responses of ``api.request.auth`` for every route that needs a key."""
    for path in document["paths"].values():
        for operation in path.values():
            if "security" in operation:
                for status, response in problem_responses(401, 403, 429).items():
                    operation["responses"].setdefault(str(status), response)


def _remove_nulls(document: dict[str, Any]) -> None:
    """Remove null from parameters: FastAPI declares optional ones as nullable, which URLs and headers cannot be."""
    for path in document["paths"].values():
        for operation in path.values():
            for schema in (parameter["schema"] for parameter in operation.get("parameters", ())):
                some = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
                if len(some) == 1:
                    del schema["anyOf"]
                    schema |= some[0]


def _remove_fastapi_errors(document: dict[str, Any]) -> None:
    """Remove FastAPI's own 422 from routes with path parameters: here a path that does not match is a 404."""
    for path in document["paths"].values():
        for operation in path.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in content:
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
