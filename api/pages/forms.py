"""Forms that a page receives: the request body of the API that one stands for, which action it asks for, and the redirect after it.

Called by every page with a form. A refused body is refused as the JSON route refuses it, with the same code and words.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError

from api.errors.validation import refused_body

Body = TypeVar("Body", bound=BaseModel)


def parse_body(model: type[Body], fields: Mapping[str, Any]) -> Body:
    """The request body with these fields. Raises RequestValidationError, as a JSON route does."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise refused_body(error, model) from error


def redirect(request: Request, path: str) -> RedirectResponse:
    """To a page of this service, by its path below the service's root, which the browser asks for with GET (303)."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 303)


def action_of(request: Request) -> str:
    """The last part of the route's path, such as ``cancel``."""
    path: str = request.scope["route"].path
    return path.rpartition("/")[2]
