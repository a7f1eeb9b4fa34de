"""Query filter ``metadata[key]=value``, which FastAPI has no parameter type for. Called by ``api.routes.jobs``."""

import re
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError

_NAME = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512  # the limits of a job's metadata

METADATA_PARAMETER: dict[str, Any] = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "required": False,
            "style": "deepObject",
            "explode": True,
            "description": "Only jobs whose metadata has these pairs: `metadata[team]=nlp&metadata[run]=7`",
            "schema": {
                "type": "object",
                "maxProperties": _MAX_PAIRS,
                "additionalProperties": {"type": "string", "maxLength": _MAX_VALUE},
            },
        }
    ]
}
"""For ``openapi_extra`` of the route."""


async def _parse_metadata_filter(request: Request) -> list[tuple[str, str]]:
    """Every pair of the query, in order. Raises RequestValidationError naming the parameter."""
    pairs: list[tuple[str, str]] = []
    for name, value in request.query_params.multi_items():
        if name != "metadata" and not name.startswith("metadata["):
            continue
        found = _NAME.fullmatch(name)
        if found is None or not 1 <= len(found[1]) <= _MAX_KEY or "\0" in name:
            raise _invalid_filter(name, f"write metadata[key]=value, with a key of 1 to {_MAX_KEY} characters")
        if len(value) > _MAX_VALUE or "\0" in value:
            raise _invalid_filter(name, f"a value has at most {_MAX_VALUE} characters, none of them NUL")
        pairs.append((found[1], value))
    if len(pairs) > _MAX_PAIRS:
        raise _invalid_filter("metadata", f"at most {_MAX_PAIRS} pairs are allowed")
    return pairs


def _invalid_filter(name: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "metadata_filter", "loc": ("query", name), "msg": message, "input": None}])


MetadataFilter = Annotated[list[tuple[str, str]], Depends(_parse_metadata_filter)]
