"""Received forms: conversion to a request of the API, the requested action, and the redirect after it.

Called by every page with a form. A refused body is refused as the JSON route refuses it, with the same code and message.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from api.errors.handlers import respond
from api.errors.validation import refused_body

Body = TypeVar("Body", bound=BaseModel)


def parse_body(model: type[Body], fields: Mapping[str, Any]) -> Body:
    """The request body with these fields. Raises RequestValidationError, as a JSON route does."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise refused_body(error, model) from error


def redirect(request: Request, path: str) -> RedirectResponse:
    """Redirect to a page of this service, by its path below the service's root, with GET (303)."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 303)


def is_given(value: str | UploadFile) -> bool:
    """Whether a field of a form was filled; a browser also sends those that were left empty."""
    return bool(value.filename) if isinstance(value, UploadFile) else bool(value)


async def send_upload(
    request: Request, sending: Awaitable[Response], path: str, page: Callable[[int, dict[str, Any]], Response]
) -> Response:
    """Redirect to the upload, under ``path``; or ``page`` again, with the status and problem of ``sending``."""
    try:
        answer = await sending
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        answer = respond(request, error)
    if answer.status_code < 300:
        return redirect(request, f"{path}/{answer.headers['Location'].rpartition('/')[2]}")
    shown = await run_in_threadpool(page, answer.status_code, json.loads(bytes(answer.body)))
    shown.headers.update({key: value for key, value in answer.headers.items() if not key.startswith("content-")})
    return shown


def action_of(request: Request) -> str:
    """The last part of the route's path, such as ``cancel``."""
    path: str = request.scope["route"].path
    return path.rpartition("/")[2]
