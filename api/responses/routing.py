"""Route class of the API: authenticates before the body is read, and serializes results in the thread that the route ran in.

All routers have ``route_class=AuthenticatedRoute``, except those with public routes.
"""

from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from structlog.contextvars import bind_contextvars

from api.request.auth import RequireScope


class AuthenticatedRoute(APIRoute):
    """A route that authenticates before it reads the body of a request.

    FastAPI reads a body before it resolves any dependency: without this, clients without a key could make the service parse what
    they send.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, serialize_in_thread(endpoint, options.get("status_code")), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, called for authenticated requests only."""
        handle = super().get_route_handler()
        required = {call for call in _dependency_calls(self.dependant) if isinstance(call, RequireScope)}

        async def authenticate_and_handle(request: Request) -> Response:
            for requirement in required:
                request.state.caller = await requirement.authenticate(request)
            if (job_id := request.path_params.get("job_id")) is not None:
                bind_contextvars(job_id=job_id)  # of the request's log lines
            return await handle(request)

        return authenticate_and_handle


def serialize_in_thread(endpoint: Callable[..., Any], status: int | None) -> Callable[..., Any]:
    """``endpoint``, with a model that it returns made a JSON response of ``status`` before it returns.

    FastAPI would change threads once more to validate a value of the right type, and then write JSON in the event loop, where it
    blocks all other requests.
    """
    if iscoroutinefunction(endpoint):
        return endpoint

    @wraps(endpoint)
    def serialized(*args: Any, **options: Any) -> Any:
        result = endpoint(*args, **options)
        if isinstance(result, BaseModel):
            return Response(result.model_dump_json(), status or 200, media_type="application/json")
        return result

    return serialized


def _dependency_calls(dependant: Dependant) -> Iterator[Any]:
    """Every function that FastAPI will call for a route."""
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _dependency_calls(inner)
