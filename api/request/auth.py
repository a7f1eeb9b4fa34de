"""Authentication and scopes: the dependencies ``caller: Reader``, ``Writer`` and ``Admin`` of routes that need an API key.

Where no keys are required the caller is the owner ``local``, who may do everything; ``api.middleware.loopback`` ensures that such
a service is used from its own machine alone. Queries take ``caller.owner_filter`` as their ``owner``, so that what belongs to
others is not found. OpenAPI declares the scheme for every such route, and ``api.openapi.document`` the 401, 403 and 429 that go
with it. Keys are checked by ``api.responses.routing.AuthenticatedRoute``, before a body is read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from api.errors.exceptions import ForbiddenError, UnauthorizedError
from api.request.deps import Services
from api.request.limits import check_request_rate
from service.access import api_keys
from service.access.api_keys import ALL_SCOPES, Scope
from service.db.engine import Database
from service.db.models import LOCAL
from service.errors import InvalidKeyError

_BEARER = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="esp_…",
    description="An API key, made with `espalier keys create`. Not needed while the service listens on loopback only.",
    auto_error=False,  # api.errors.handlers answers
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]


@dataclass(frozen=True)
class Caller:
    """Authenticated caller of a request."""

    owner: str
    """The owner of what the request creates."""
    scopes: frozenset[str]
    key_id: str | None
    """None where no keys are required."""

    @property
    def owner_filter(self) -> str | None:
        """The only owner whose rows the caller may see; None: all owners."""
        return None if Scope.ADMIN in self.scopes else self.owner

    def has_scope(self, scope: str) -> bool:
        """Whether the caller has ``scope``; the admin scope includes all others."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


LOCAL_CALLER = Caller(LOCAL, ALL_SCOPES, None)
"""Caller of every request where no keys are required."""


@dataclass(frozen=True)
class RequireScope:
    """A dependency: the caller, which has ``scope`` and was authenticated by ``AuthenticatedRoute``."""

    scope: Scope

    async def __call__(self, request: Request, _: _Credentials) -> Caller:
        """Async, so that FastAPI needs no thread for it. The credentials are a parameter for OpenAPI alone."""
        caller: Caller = request.state.caller
        return caller

    async def authenticate(self, request: Request) -> Caller:
        """The caller, by the API key of ``request``. Raises UnauthorizedError, ForbiddenError, TooManyRequestsError."""
        services: Services = request.app.state.services
        if not services.settings.keys_required:
            return LOCAL_CALLER
        credentials = await _BEARER(request)
        if credentials is None:
            raise UnauthorizedError("key_missing", "send an API key: Authorization: Bearer esp_…")
        caller = await caller_of_key(services, credentials.credentials)
        await check_request_rate(request, services.token_buckets, caller.key_id or LOCAL)
        if not caller.has_scope(self.scope):
            raise ForbiddenError(self.scope)
        return caller


async def _metrics_reader(request: Request, _: _Credentials) -> Caller:
    services: Services = request.app.state.services
    return LOCAL_CALLER if services.settings.metrics_open else await RequireScope(Scope.ADMIN).authenticate(request)


async def caller_of_key(services: Services, key: str) -> Caller:
    """The holder of an API key. Raises UnauthorizedError."""
    found = await services.key_loader.load(key)
    if isinstance(found, InvalidKeyError):
        raise UnauthorizedError(found.code, str(found)) from found
    return await _caller_of(services, found)


async def caller_of_session(services: Services, key_id: str) -> Caller:
    """The caller of a session, by the current state of its API key. Raises UnauthorizedError."""
    try:
        found = await run_in_threadpool(_load_key, services.database, key_id)
    except InvalidKeyError as error:
        raise UnauthorizedError(error.code, str(error)) from error
    return await _caller_of(services, found)


async def _caller_of(services: Services, found: api_keys.ValidKey) -> Caller:
    bind_contextvars(owner=found.row.owner, key_id=found.row.id)  # of the request's log lines
    if found.stale and found.row.id not in services.keys_being_recorded:
        services.keys_being_recorded.add(found.row.id)
        try:
            await run_in_threadpool(_record_use, services.database, found.row.id)
        finally:
            services.keys_being_recorded.discard(found.row.id)
    return Caller(found.row.owner, frozenset(found.row.scopes.split()), found.row.id)


def _load_key(database: Database, key_id: str) -> api_keys.ValidKey:
    with database.read_connection() as connection:
        return api_keys.find_by_id(connection, key_id)


def _record_use(database: Database, key_id: str) -> None:
    with database.write() as session:
        api_keys.record_use(session, key_id)


def load_keys(database: Database, keys: Collection[str]) -> Mapping[str, api_keys.ValidKey | InvalidKeyError]:
    """``service.access.api_keys.find_all`` in a transaction of its own: the fetch function of the key loader of ``api.app``."""
    with database.read_connection() as connection:
        return api_keys.find_all(connection, keys)


Reader = Annotated[Caller, Depends(RequireScope(Scope.READ))]
Writer = Annotated[Caller, Depends(RequireScope(Scope.WRITE))]
Admin = Annotated[Caller, Depends(RequireScope(Scope.ADMIN))]
MetricsReader = Annotated[Caller, Depends(_metrics_reader)]
"""For /metrics: a caller with the admin scope, unless a setting opens it to all."""
