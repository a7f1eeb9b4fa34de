"""Problem details (RFC 9457): the one shape of every error response, and its declaration in OpenAPI.

Called by ``api.errors.handlers``, by middleware, and by routes that answer with a problem themselves.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.errors.catalog import status_of

MEDIA_TYPE = "application/problem+json"
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""RFC 9110's names, which Python has since 3.13."""


class Fault(BaseModel):
    """One fault of the request."""

    code: str = Field(description="Stable identifier of this kind of fault")
    detail: str = Field(description="The fault and its remedy")
    pointer: str | None = Field(None, description="JSON pointer (RFC 6901) to the field of the body")
    parameter: str | None = Field(None, description="Name of the query parameter or header, where it is not the body")
    row: int | None = Field(None, description="Number of the row of an uploaded file, counted from 1")


class Problem(BaseModel):
    """Problem details of a failed request (RFC 9457, ``application/problem+json``)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "code": "invalid_request",
                    "detail": "/sparsity: Input should be less than 1",
                    "kind": "user",
                    "instance": "/v1/jobs",
                    "errors": [{"code": "less_than", "detail": "Input should be less than 1", "pointer": "/sparsity"}],
                    "request_id": "req_8e1f6f0c0f8b4d6f9f4d1c7d5f3a2b1c",
                }
            ]
        }
    )

    type: Literal["about:blank"] = "about:blank"
    title: str = Field(description="Name of the status")
    status: int
    code: str = Field(description="Stable identifier; programs should branch on this")
    detail: str = Field(description="Explanation for humans")
    kind: Literal["user", "system"] = Field(description="user: change the request; system: the same request may succeed later")
    instance: str = Field(description="Path of the request")
    errors: list[Fault] = Field(default_factory=list)
    request_id: str | None = Field(None, description="Id of this request in the service's log")


def problem_response(
    request: Request,
    code: str,
    detail: str,
    errors: Sequence[Fault] = (),
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem about ``request``; see :func:`make_problem`."""
    return make_problem(
        code, detail, request.url.path, errors=errors, status=status, request_id=request.state.request_id, headers=headers
    )


def make_problem(
    code: str,
    detail: str,
    instance: str,
    *,
    errors: Sequence[Fault] = (),
    status: int | None = None,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error response with the status that the catalog has for ``code``, unless ``status`` is another.

    ``kind`` follows from the status.
    """
    status = status_of(code) if status is None else status
    body = Problem(
        title=_title(status),
        status=status,
        code=code,
        detail=detail,
        kind="system" if status >= 500 or status == 429 else "user",
        instance=instance,
        errors=[*errors],
        request_id=request_id,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, headers=headers, media_type=MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with problems of these statuses; 500 and 503 are added, which all may.

    ``api.openapi.document`` puts the schema among the components: FastAPI would declare it as ``application/json`` too.
    """
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _title(status), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*statuses, 500, 503})
    }


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase
