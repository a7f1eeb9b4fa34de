"""What a route returns, made an answer in the thread that the route ran in.

Used by ``api.request.auth.KeyFirst`` for all of them.
"""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Response
from pydantic import BaseModel


def serialize_in_thread(endpoint: Callable[..., Any], status: int | None) -> Callable[..., Any]:
    """``endpoint``, whose model is an answer of ``status`` by the time it is returned.

    FastAPI would change threads once more, to check what is right by its type, and then write JSON where it holds up all
    other requests.
    """
    if iscoroutinefunction(endpoint):
        return endpoint

    @wraps(endpoint)
    def answered(*args: Any, **given: Any) -> Any:
        result = endpoint(*args, **given)
        if isinstance(result, BaseModel):
            return Response(result.model_dump_json(), status or 200, media_type="application/json")
        return result

    return answered
