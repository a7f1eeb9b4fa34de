"""Exception handlers: each error of ``service``, ``pruning`` and ``api`` becomes the problem that the catalog has for it.

Registered by ``api.app``. FastAPI finds a handler by the classes of the exception, so one for each base class is enough. An
exception without a handler is a bug, answered by ``api.middleware.request_id``.
"""

import logging
import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException

from api.errors import validation
from api.errors.catalog import PROBLEMS, find_response
from api.errors.exceptions import (
    CodedError,
    ForbiddenError,
    ForgedFormError,
    NoMaskError,
    NotSucceededError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)
from api.errors.problems import Fault, problem_response
from pruning.errors import PermanentError
from service.db.engine import DATABASE_UNAVAILABLE
from service.errors import IdempotencyKeyReusedError, InvalidCursorError, RequestInProgressError, ServiceError

log = logging.getLogger(__name__)
_PARAMETERS: dict[type, str] = {
    InvalidCursorError: "after",
    RequestInProgressError: "Idempotency-Key",
    IdempotencyKeyReusedError: "Idempotency-Key",
}
"""Parameter or header of an error."""
_HTTP_CODES = {entry.status: code for code, entry in PROBLEMS.items() if entry.exception is HTTPException}
"""Status of an error of the framework → code."""
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"})


def install_handlers(app: FastAPI) -> None:
    """Register the handlers of this module with ``app``."""
    for known, handler in _HANDLERS.items():
        app.exception_handler(known)(handler)


def respond(request: Request, error: Exception) -> Response:
    """The problem response to a request that raised ``error``; bugs are raised again."""
    for base in type(error).__mro__:
        if base in _HANDLERS:
            return _HANDLERS[base](request, error)
    raise error


def _handle_known(request: Request, error: Exception) -> Response:
    found = find_response(error)
    if found is None:
        raise error
    status, code = found
    return problem_response(request, code, str(error), _faults(error, code), status=status, headers=_headers(error))


def _faults(error: Exception, code: str) -> list[Fault]:
    """The place in the request that caused ``error``, if any."""
    if isinstance(error, PermanentError):  # of a spec that could be read but not be run: the codes are the trainer's own
        pointer = validation.json_pointer(error.param.split(".")) if error.param else None
        return [Fault(code=code, detail=str(error), pointer=pointer)]
    parameter = _PARAMETERS.get(type(error))
    return [Fault(code=code, detail=str(error), parameter=parameter)] if parameter else []


def _headers(error: Exception) -> dict[str, str]:
    match error:
        case UnavailableError() | TooManyRequestsError():
            return {"Retry-After": str(error.retry_after)}
        case RequestInProgressError():
            return {"Retry-After": "1"}
        case UnauthorizedError():  # RFC 6750: no ``error`` for a request without a key
            failed = "" if error.code == "key_missing" else ', error="invalid_token"'
            return {"WWW-Authenticate": f'Bearer realm="espalier"{failed}'}
        case ForbiddenError():
            needed = f'Bearer realm="espalier", error="insufficient_scope", scope="{error.scope}"'
            return {"WWW-Authenticate": needed}
    return {}


def _handle_validation(request: Request, error: RequestValidationError) -> Response:
    rejection = validation.rejection_of(request, error)
    return problem_response(request, rejection.code, rejection.detail, rejection.errors)


def _handle_database(request: Request, error: DBAPIError | PoolTimeoutError) -> Response:
    if not isinstance(error, DATABASE_UNAVAILABLE) and not error.connection_invalidated:
        raise error  # an error of the statement and not of the connection is a bug
    log.error("request %s: the database is not available: %s", request.state.request_id, error)
    detail = "the database cannot be reached; try again"
    return problem_response(request, "database_unavailable", detail, headers={"Retry-After": "5"})


def _handle_http(request: Request, error: HTTPException) -> Response:
    code = _HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
    detail, headers = str(error.detail), dict(error.headers or {})
    if code == "route_not_found":
        detail = f"there is no resource at {request.url.path}; /openapi.json lists the paths"
    elif code == "method_not_allowed":
        # Starlette lists the methods of the first route with the path, not of all
        headers["Allow"] = ", ".join(_allowed_methods(request)) or headers.get("Allow", "GET")
        detail = f"{request.method} is not possible at {request.url.path}; possible: {headers['Allow']}"
    return problem_response(request, code, detail, status=error.status_code, headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """The methods that the OpenAPI document has for the path of ``request``."""
    found: set[str] = set()
    for template, operations in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), get_route_path(request.scope)):
            found |= {method.upper() for method in operations}
    if "GET" in found:
        found.add("HEAD")
    return sorted(found & _METHODS)


_HANDLERS: dict[type[Exception], Callable[[Request, Any], Response]] = {
    **dict.fromkeys(
        (ServiceError, PermanentError, CodedError, ForbiddenError, ForgedFormError, NoMaskError, NotSucceededError), _handle_known
    ),
    DBAPIError: _handle_database,
    PoolTimeoutError: _handle_database,
    RequestValidationError: _handle_validation,
    HTTPException: _handle_http,
}
