"""Uploads of data sets and models: the form is received within limits, and each idempotency key stores once.

Called by ``api.routes.datasets`` and ``api.routes.models``, which read and check what arrived.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import HTTPException
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from api.errors.exceptions import UnavailableError
from api.request.deps import Services
from api.request.idempotency import REPLAYED_HEADER, IdempotentRequest
from service.db.models.upload import UploadColumns

Row = TypeVar("Row", bound=UploadColumns)


@asynccontextmanager
async def received_form(
    request: Request, services: Services, owner: str, *, kind: str, seconds: int, max_files: int, max_fields: int, remedy: str
) -> AsyncIterator[FormData]:
    """The form of an upload, once all of it is there; its files are closed behind the block.

    A slow sender holds a slot of its owner only. Raises UnavailableError (``too_many_uploads``, and
    ``insufficient_storage`` where there is no space for the files, in the block, too); HTTPException 415 for a body that is not a
    form, with ``remedy`` as its detail, and 408 for a ``kind`` ("data set") that has not arrived within ``seconds``.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, remedy)
    if not services.upload_slots.acquire(owner):
        raise UnavailableError("too_many_uploads", "other files are being uploaded; try again in a moment")
    try:
        try:
            async with asyncio.timeout(seconds):
                form = await request.form(max_files=max_files, max_fields=max_fields)
        except TimeoutError as late:
            detail = f"the {kind} has not arrived within {seconds} s; send it over a faster connection, or compressed"
            raise HTTPException(408, detail) from late
        try:
            yield form
        finally:
            await form.close()
    except OSError as fault:
        if fault.errno != errno.ENOSPC:
            raise
        raise UnavailableError("insufficient_storage", "the service has no space for the files at the moment") from fault
    finally:
        services.upload_slots.release(owner)


def store_once(
    idempotency: IdempotentRequest,
    content: bytes,
    store: Callable[[Callable[[Session, Row, bool], None]], None],
    document: Callable[[Session, Row], BaseModel],
    prefix: str,
) -> Response:
    """The response to an upload of ``content``: 201 for a new one, 200 for one that was there, its path under ``prefix``.

    ``store`` calls its argument in the transaction that completes the upload. ``document``: the body of the response. Raises
    their exceptions, and the errors of the idempotency key.
    """
    responses: list[Response] = []
    idempotency = idempotency.with_content(content)
    if (stored := idempotency.stored_response()) is not None:
        return stored

    def store_response(session: Session, row: Row, new: bool) -> None:
        body, status, path = document(session, row).model_dump_json(), 201 if new else 200, f"{prefix}/{row.id}"
        idempotency.store_response(session, status, body, path)
        responses.append(Response(body, status, {"Location": path}, "application/json"))

    store(store_response)
    return responses[-1]


def form_body(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The form of an upload in OpenAPI: its name and ``properties``."""
    name = {"name": {"type": "string", "maxLength": 100, "description": "Name of your choice"}}
    schema = {"type": "object", "properties": name | properties}
    encoding = {"encoding": more.pop("encoding")} if "encoding" in more else {}
    content = {"multipart/form-data": {"schema": schema | more, **encoding}}
    return {"requestBody": {"required": True, "content": content}}


def uploaded_responses(kind: str, model: type[BaseModel], content: str) -> dict[int | str, dict[str, Any]]:
    """The responses to an upload in OpenAPI: of a new ``kind`` ("data set"), and of the same ``content`` ("rows") again."""
    location = {"Location": {"description": f"Path of the {kind}", "schema": {"type": "string"}}}
    headers = location | REPLAYED_HEADER
    return {
        201: {"description": f"The {kind}", "headers": headers},
        200: {"description": f"You had uploaded the same {content} before", "model": model, "headers": headers},
    }
