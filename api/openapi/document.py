"""The OpenAPI document: FastAPI's, with the problem schema among its components, and what it tells of a path."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors.problems import Problem, problem_responses
from api.openapi import links

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


def build_document(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``, built at first use and kept."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _forget_fastapi_errors(document)
        _declare_refusals(document)
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components |= schema.pop("$defs") | {"Problem": schema}
        _forget_nulls(document)
        links.add_links(document)
        app.openapi_schema = document
    return app.openapi_schema


def methods(app: FastAPI, path: str) -> list[str]:
    """The methods that ``path`` has, for the ``Allow`` header."""
    found: set[str] = set()
    for template, operations in build_document(app)["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            found |= {method.upper() for method in operations if method in _METHODS}
    return sorted(found)


def _declare_refusals(document: dict[str, Any]) -> None:
    """What ``api.request.auth`` may answer wherever a key is asked for: no route needs to say so."""
    for path in document["paths"].values():
        for operation in path.values():
            if "security" in operation:
                for status, response in problem_responses(401, 403, 429).items():
                    operation["responses"].setdefault(str(status), response)


def _forget_nulls(document: dict[str, Any]) -> None:
    """FastAPI says of optional parameters that they may be null, which no URL and no header can be."""
    for path in document["paths"].values():
        for operation in path.values():
            for schema in (parameter["schema"] for parameter in operation.get("parameters", ())):
                some = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
                if len(some) == 1:
                    del schema["anyOf"]
                    schema |= some[0]


def _forget_fastapi_errors(document: dict[str, Any]) -> None:
    """FastAPI declares its own 422 wherever there is a parameter; here a path that does not match is a 404."""
    for path in document["paths"].values():
        for operation in path.values():
            declared = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in declared:
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
