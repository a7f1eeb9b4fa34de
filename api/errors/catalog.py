"""Which problem each error becomes: the only place where an error of ``jobs`` or ``pruning`` meets an HTTP status.

Handlers are found by walking the exception's classes, so one row per base class is enough. Registered by ``api.app``;
what nobody foresaw is answered by ``api.middleware.middleware.RequestIds``.
"""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from api.errors import validation
from api.errors.problems import Fault, make_problem
from api.openapi import document
from pruning.errors import PermanentError
from service.errors import (
    ArtifactNotFoundError,
    DatasetInUseError,
    DatasetNotFoundError,
    IllegalTransitionError,
    InvalidCursorError,
    JobNotFoundError,
    NotFoundError,
    QuotaExceededError,
    SchemaOutdatedError,
    SecretsUnavailableError,
    ServiceError,
    SplitNotFoundError,
    StorageUnavailableError,
    StoredResponseElsewhereError,
    StoredResponsePendingError,
    SweepNotEndedError,
    SweepNotFoundError,
    WebhookNotFoundError,
)

log = logging.getLogger(__name__)

DATABASE_DOWN = (OperationalError, InterfaceError, PoolTimeout)
_JOBS_ERRORS: dict[type, tuple[int, str]] = {
    JobNotFoundError: (404, "job_not_found"),
    ArtifactNotFoundError: (404, "artifact_not_found"),
    DatasetNotFoundError: (404, "dataset_not_found"),
    SplitNotFoundError: (404, "split_not_found"),
    SweepNotFoundError: (404, "sweep_not_found"),
    WebhookNotFoundError: (404, "webhook_not_found"),
    NotFoundError: (404, "not_found"),
    DatasetInUseError: (409, "dataset_in_use"),
    StoredResponsePendingError: (409, "idempotency_in_progress"),
    StoredResponseElsewhereError: (422, "idempotency_key_reused"),
    IllegalTransitionError: (409, "illegal_transition"),
    SweepNotEndedError: (409, "sweep_not_ended"),
    InvalidCursorError: (422, "cursor_invalid"),
    QuotaExceededError: (507, "quota_exceeded"),  # RFC 4331, section 6, has 507 for quotas
    StorageUnavailableError: (503, "storage_unavailable"),
    SecretsUnavailableError: (503, "secrets_unavailable"),
    SchemaOutdatedError: (503, "database_outdated"),
}
_PARAMETERS: dict[type, str] = {
    InvalidCursorError: "after",
    StoredResponsePendingError: "Idempotency-Key",
    StoredResponseElsewhereError: "Idempotency-Key",
}
_HTTP_CODES = {
    400: "malformed_body",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}


class UnavailableError(Exception):
    """The service cannot do this now; the same request may work later."""

    def __init__(self, code: str, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        """Seconds."""


class NotSucceededError(Exception):
    """This needs a job that has succeeded."""


class NotPossibleError(Exception):
    """This service cannot do this at all, as it is set up; the message says how it could."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnauthorizedError(Exception):
    """Nobody that this service knows asks."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ForbiddenError(Exception):
    """The caller is known and may not do this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"this needs an API key with the scope {scope}")
        self.scope = scope


class TooManyRequestsError(Exception):
    """The caller has used up what they may ask for at present."""

    def __init__(self, code: str, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        """Seconds."""


def install_handlers(app: FastAPI) -> None:
    """Register every handler of this file with ``app``."""
    app.exception_handler(ServiceError)(_jobs_error)
    app.exception_handler(PermanentError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(UnauthorizedError)(_unauthorized)
    app.exception_handler(ForbiddenError)(_forbidden)
    app.exception_handler(TooManyRequestsError)(_too_many)
    app.exception_handler(UnavailableError)(_unavailable)
    app.exception_handler(NotSucceededError)(_not_succeeded)
    app.exception_handler(NotPossibleError)(_not_possible)
    app.exception_handler(PoolTimeout)(_database)
    app.exception_handler(DBAPIError)(_database)


def problem_response(
    request: Request,
    status: int,
    code: str,
    detail: str,
    errors: list[Fault] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem about this request."""
    return make_problem(
        status, code, detail, request.url.path, errors=errors, request_id=request.state.request_id, headers=headers
    )  # fmt: skip


def _jobs_error(request: Request, error: ServiceError) -> Response:
    for base in type(error).__mro__:
        if base in _JOBS_ERRORS:
            status, code = _JOBS_ERRORS[base]
            blamed = _PARAMETERS.get(base)
            faults = [Fault(code=code, detail=str(error), parameter=blamed)] if blamed else None
            headers = {"Retry-After": "1"} if base is StoredResponsePendingError else None
            return problem_response(request, status, code, str(error), faults, headers)
    raise error


def _refused(request: Request, error: PermanentError) -> Response:
    """A spec that could be read but not be run: the codes are those of the trainer's own refusals."""
    pointer = validation.json_pointer(error.param.split(".")) if error.param else None
    return problem_response(
        request, 422, error.code, str(error), [Fault(code=error.code, detail=str(error), pointer=pointer)]
    )


def _invalid(request: Request, error: RequestValidationError) -> Response:
    refusal = validation.rejection_of(request, error)
    return problem_response(request, refusal.status, refusal.code, refusal.detail, refusal.errors)


def _unauthorized(request: Request, error: UnauthorizedError) -> Response:
    """RFC 6750: no ``error`` for who sent no key at all."""
    failed = "" if error.code == "key_missing" else ', error="invalid_token"'
    return problem_response(
        request, 401, error.code, str(error), headers={"WWW-Authenticate": f'Bearer realm="espalier"{failed}'}
    )


def _forbidden(request: Request, error: ForbiddenError) -> Response:
    needed = f'Bearer realm="espalier", error="insufficient_scope", scope="{error.scope}"'
    return problem_response(request, 403, "scope_missing", str(error), headers={"WWW-Authenticate": needed})


def _too_many(request: Request, error: TooManyRequestsError) -> Response:
    return problem_response(request, 429, error.code, str(error), headers={"Retry-After": str(error.retry_after)})


def _unavailable(request: Request, error: UnavailableError) -> Response:
    return problem_response(request, 503, error.code, str(error), headers={"Retry-After": str(error.retry_after)})


def _not_succeeded(request: Request, error: NotSucceededError) -> Response:
    return problem_response(request, 409, "job_not_succeeded", str(error))


def _not_possible(request: Request, error: NotPossibleError) -> Response:
    return problem_response(request, 501, error.code, str(error))


def _database(request: Request, error: DBAPIError | PoolTimeout) -> Response:
    if not isinstance(error, DATABASE_DOWN) and not error.connection_invalidated:
        raise error  # a fault of the statement, not of the connection: ours
    log.error("request %s: the database is not available: %s", request.state.request_id, error)
    detail = "the database cannot be reached at the moment; try again"
    return problem_response(request, 503, "database_unavailable", detail, headers={"Retry-After": "5"})


def _http(request: Request, error: HTTPException) -> Response:
    code = _HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
    detail, headers = str(error.detail), dict(error.headers or {})
    if code == "route_not_found":
        detail = f"there is nothing at {request.url.path}; /openapi.json lists what there is"
    elif code == "method_not_allowed":
        # Starlette names the methods of the first route that has the path, not of all
        headers["Allow"] = ", ".join(document.methods(request.app, request.url.path)) or headers.get("Allow", "GET")
        detail = f"{request.method} is not possible at {request.url.path}; possible: {headers['Allow']}"
    return problem_response(request, error.status_code, code, detail, headers=headers)
