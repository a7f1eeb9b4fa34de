"""The OpenAPI document: FastAPI's, with the problem schema among its components, and what it tells of a path."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import Problem

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


def describe(app: FastAPI) -> dict[str, Any]:
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
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components |= schema.pop("$defs") | {"Problem": schema}
        app.openapi_schema = document
    return app.openapi_schema


def methods(app: FastAPI, path: str) -> list[str]:
    """The methods that ``path`` has, for the ``Allow`` header."""
    found: set[str] = set()
    for template, operations in describe(app)["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            found |= {method.upper() for method in operations if method in _METHODS}
    return sorted(found)


def _forget_fastapi_errors(document: dict[str, Any]) -> None:
    """FastAPI declares its own 422 wherever there is a parameter; here a path that does not match is a 404."""
    for path in document["paths"].values():
        for operation in path.values():
            declared = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in declared:
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
