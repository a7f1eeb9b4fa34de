"""Who is asking, and may they? The parameters ``caller: Reader``, ``Writer`` and ``Admin`` of routes that are not for all.

Where no keys are required the caller is the owner ``local``, who may do everything; ``api.middleware.loopback`` sees to it
that such a service is used from its own machine alone. Queries take ``caller.sees`` as their ``owner``, so that what
belongs to others is not found. OpenAPI declares the scheme for every such route, and ``api.openapi.document`` the 401, 403
and 429 that go with it.

FastAPI reads a body before it asks any parameter. So routers have ``route_class=KeyFirst``, which finds out who is asking
before anything is read: strangers cannot make the service parse what they send.
"""

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.errors.exceptions import ForbiddenError, UnauthorizedError
from api.request import rate_limit
from api.request.deps import Services
from api.responses.routing import serialize_in_thread
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
    """Who makes a request."""

    owner: str
    """Whose things they make."""
    scopes: frozenset[str]
    key_id: str | None
    """None where no keys are required."""

    @property
    def owner_filter(self) -> str | None:
        """The owner whose things they may see; None: everybody's."""
        return None if Scope.ADMIN in self.scopes else self.owner

    def has_scope(self, scope: str) -> bool:
        """Administrators may do everything."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


LOCAL_CALLER = Caller(LOCAL, ALL_SCOPES, None)


@dataclass(frozen=True)
class RequireScope:
    """A dependency: the caller, who has ``scope`` and was let in by ``KeyFirst``."""

    scope: Scope

    async def __call__(self, request: Request, _: _Credentials) -> Caller:
        """Async: a service without keys need not change threads for this. Credentials are named for OpenAPI's sake."""
        caller: Caller = request.state.caller
        return caller

    async def authenticate(self, request: Request) -> Caller:
        """Raises UnauthorizedError, ForbiddenError, TooManyRequestsError."""
        services: Services = request.app.state.services
        if not services.settings.keys_required:
            return LOCAL_CALLER
        credentials = await _BEARER(request)
        if credentials is None:
            raise UnauthorizedError("key_missing", "send an API key: Authorization: Bearer esp_…")
        caller = await _caller_of_key(services, credentials.credentials)
        rate_limit.check_request_rate(request, services.token_buckets, caller.key_id or LOCAL)
        if not caller.has_scope(self.scope):
            raise ForbiddenError(self.scope)
        return caller


class AuthenticatedRoute(APIRoute):
    """A route that knows its caller before it reads anything of the request but its head."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, serialize_in_thread(endpoint, options.get("status_code")), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the door."""
        handle = super().get_route_handler()
        needed = {call for call in _dependency_calls(self.dependant) if isinstance(call, RequireScope)}

        async def let_in(request: Request) -> Response:
            for needs in needed:
                request.state.caller = await needs.authenticate(request)
            return await handle(request)

        return let_in


def _dependency_calls(dependant: Dependant) -> Iterator[Any]:
    """Every function that FastAPI will call for a route."""
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _dependency_calls(inner)


async def _metrics_reader(request: Request, _: _Credentials) -> Caller:
    services: Services = request.app.state.services
    return LOCAL_CALLER if services.settings.metrics_open else await RequireScope(Scope.ADMIN).authenticate(request)


async def _caller_of_key(services: Services, key: str) -> Caller:
    found = await services.key_loader.load(key)
    if isinstance(found, InvalidKeyError):
        raise UnauthorizedError(found.code, str(found)) from found
    if found.stale and found.row.id not in services.keys_being_recorded:
        services.keys_being_recorded.add(found.row.id)
        try:
            await run_in_threadpool(_record_use, services.database, found.row.id)
        finally:
            services.keys_being_recorded.discard(found.row.id)
    return Caller(found.row.owner, frozenset(found.row.scopes.split()), found.row.id)


def _record_use(database: Database, key_id: str) -> None:
    with database.write() as session:
        api_keys.record_use(session, key_id)


def load_keys(database: Database, given: Collection[str]) -> Mapping[str, api_keys.ValidKey | InvalidKeyError]:
    """What ``service.access.api_keys.find_all`` says, in a transaction of its own."""
    with database.read_connection() as connection:
        return api_keys.find_all(connection, given)


Reader = Annotated[Caller, Depends(RequireScope(Scope.READ))]
Writer = Annotated[Caller, Depends(RequireScope(Scope.WRITE))]
Admin = Annotated[Caller, Depends(RequireScope(Scope.ADMIN))]
MetricsReader = Annotated[Caller, Depends(_metrics_reader)]
"""For /metrics: an administrator, unless a setting opens it to everybody."""
