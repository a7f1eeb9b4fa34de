"""Routes of uploaded masks: upload, list, look, delete. A job starts from one by naming its id in ``init_from``."""

import hashlib
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from api.errors.exceptions import UnavailableError
from api.errors.problems import problem_responses
from api.request.auth import Reader, Writer
from api.request.deps import MaskId, Services, ServicesDep
from api.request.idempotency import IdempotentRequest, StreamIdempotency
from api.request.paging import NumberCursor, page_size
from api.request.uploads import form_body, received_form, store_once, uploaded_responses
from api.responses.routing import AuthenticatedRoute
from api.schemas.uploaded_masks import UploadedMask, UploadedMaskList
from api.uploads.confined import ParseLimits
from api.uploads.mask_check import check_mask, parse_mask_form
from service import uploaded_masks
from service.access.quotas import Quota
from service.db import models

router = APIRouter(prefix="/v1/masks", tags=["masks"], route_class=AuthenticatedRoute)
FORM_OVERHEAD_BYTES = 64 * 1024
"""Bytes that a form may have in addition to its file."""
_CHECK_WAIT_SECONDS = 60
"""Longest that a mask which has arrived waits for other uploads to be read."""
_CHECK_SECONDS = 120
_FILE = {"type": "string", "format": "binary", "description": "mask.safetensors or mask.espalier"}
_FORM = form_body({"file": _FILE}, required=["file"])
_UPLOADED = uploaded_responses("mask", UploadedMask, "file")


@router.post(
    "",
    operation_id="createMask",
    status_code=201,
    response_model=UploadedMask,
    responses=problem_responses(400, 408, 409, 413, 415, 422, 507) | _UPLOADED,
    openapi_extra=_FORM,
    summary="Upload a mask",
)
async def create_mask(request: Request, services: ServicesDep, caller: Writer, idempotency: StreamIdempotency) -> Response:
    """A mask file of a finished job, of another service too, in either form. All of it is read and checked.

    The same file again is the same mask.
    """
    receiving = received_form(
        request,
        services,
        caller.owner,
        kind="mask",
        seconds=services.settings.upload_seconds,
        max_files=1,
        max_fields=1,
        remedy="send a mask file as a form (multipart/form-data): curl -F file=@mask.safetensors",
    )
    async with receiving as form:
        return await run_in_threadpool(_create, services, caller.owner, idempotency, form)


def _create(services: Services, owner: str, idempotency: IdempotentRequest, form: FormData) -> Response:
    settings = services.settings
    name, upload = parse_mask_form(form, settings.max_mask_bytes)
    if not services.parse_slots.acquire(timeout=_CHECK_WAIT_SECONDS):
        raise UnavailableError("too_many_uploads", "other files are being read; try again in a moment")
    try:
        about = check_mask(upload.file, ParseLimits(settings.upload_memory_bytes, _CHECK_SECONDS))
    finally:
        services.parse_slots.release()
    upload.file.seek(0)
    sha256 = hashlib.sha256()
    while data := upload.file.read(1024 * 1024):
        sha256.update(data)

    def store(on_stored: uploaded_masks.OnStored) -> None:
        uploaded_masks.put(
            services.database,
            owner=owner,
            name=name,
            sha256=sha256.hexdigest(),
            size=upload.file.tell(),
            about=asdict(about),
            file=upload.file,
            chunk_bytes=settings.chunk_bytes,
            on_stored=on_stored,
            quota=Quota.from_settings(settings),
        )

    def document(_: Session, row: models.UploadedMask) -> UploadedMask:
        return UploadedMask.from_row(row)

    return store_once(idempotency, f"{sha256.hexdigest()} {name}".encode(), store, document, router.prefix)


@router.get("", operation_id="listMasks", responses=problem_responses(422), summary="List uploaded masks, newest first")
def list_masks(
    services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("masks")] = 20, after: NumberCursor = None
) -> UploadedMaskList:
    """Those that were uploaded; the masks of jobs are among their artifacts."""
    with services.database.read() as session:
        rows, cursor = uploaded_masks.page(session, limit=limit, owner=caller.owner_filter, after=after)
    next_cursor = str(cursor) if cursor is not None else None
    return UploadedMaskList(data=[UploadedMask.from_row(row) for row in rows], has_more=cursor is not None, next_cursor=next_cursor)


@router.get("/{mask_id}", operation_id="getMask", responses=problem_responses(404), summary="Get an uploaded mask")
def get_mask(mask_id: MaskId, services: ServicesDep, caller: Reader) -> UploadedMask:
    """What its metadata say, its size and digest."""
    with services.database.read() as session:
        return UploadedMask.from_row(uploaded_masks.get(session, mask_id, owner=caller.owner_filter))


@router.delete(
    "/{mask_id}",
    operation_id="deleteMask",
    status_code=204,
    responses=problem_responses(404, 409),
    summary="Delete an uploaded mask",
)
def delete_mask(mask_id: MaskId, services: ServicesDep, caller: Writer) -> None:
    """409 while a job that has not ended starts from it. Masks that were trained from it stay."""
    with services.database.write() as session:
        uploaded_masks.delete(session, mask_id, owner=caller.owner_filter)
