"""Model routes: upload, get, download a file, delete. ``api.routes.catalog`` lists them."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from api.errors.problems import problem_responses
from api.request.auth import Caller, Reader, Writer
from api.request.deps import ModelId, Services, ServicesDep
from api.request.idempotency import IdempotentRequest, StreamIdempotency
from api.request.uploads import form_body, received_form, store_once, uploaded_responses
from api.responses.byte_ranges import file_headers, file_response
from api.responses.routing import AuthenticatedRoute
from api.schemas.uploaded_models import UploadedModel
from api.uploads.model_check import CheckedModel, ModelUse, check_confined, write_sketch
from api.uploads.model_form import MAX_FILES, parse_model_form
from service import uploaded_models
from service.access.quotas import Quota
from service.db import models
from service.errors import UploadedModelNotFoundError
from service.uploaded_models import FileContent, ModelContent

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=AuthenticatedRoute)
FORM_OVERHEAD_BYTES = 1024 * 1024
"""Bytes that a form may have in addition to its files, of which there may be many."""
_FILE = {"type": "string", "format": "binary"}
_SENT = {"description": "A file of the folder, as often as there are files; or one .zip of it"}
_FORM = form_body({"file": _FILE | _SENT}, required=["file"])
_UPLOADED = uploaded_responses("model", UploadedModel, "files")
_CONTENT: dict[int | str, dict[str, Any]] = {
    code: {"description": what, "content": {"application/octet-stream": {"schema": _FILE}}}
    for code, what in ((200, "The file"), (206, "The requested range"))
}
FileName = Annotated[
    str, PathParameter(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,198}$", description="Name of the file", examples=["config.json"])
]


@router.post(
    "",
    operation_id="createModel",
    status_code=201,
    response_model=UploadedModel,
    responses=problem_responses(400, 408, 409, 413, 415, 422, 507) | _UPLOADED,
    openapi_extra=_FORM,
    summary="Upload a model",
)
async def create_model(request: Request, services: ServicesDep, caller: Writer, idempotency: StreamIdempotency) -> Response:
    """The files of a Hugging Face folder with safetensors weights, or the folder as a zip. The checks are those of local folders.

    The same files again are the same model.
    """
    return await receive_model(request, services, caller, idempotency)


async def receive_model(
    request: Request,
    services: Services,
    caller: Caller,
    idempotency: IdempotentRequest,
    *,
    accept: Callable[[FormData], FormData] = lambda form: form,
    further_fields: int = 0,
) -> Response:
    """Store the model that ``request`` is the form of; within the limits on what is received and checked at a time.

    ``accept`` gets the received form, with ``further_fields`` that are not a part of a model, and returns the rest.
    """
    receiving = received_form(
        request,
        services,
        caller.owner,
        kind="model",
        seconds=services.settings.model_upload_seconds,
        max_files=MAX_FILES,
        max_fields=2 + further_fields,
        remedy="send the files of a model's folder as a form: curl -F file=@config.json -F file=@model.safetensors ...",
    )
    async with receiving as form:
        return await run_in_threadpool(_create, services, caller.owner, idempotency, accept(form))


def _create(services: Services, owner: str, idempotency: IdempotentRequest, form: FormData) -> Response:
    settings = services.settings
    with ExitStack() as stack:
        name, files = parse_model_form(form, stack, settings.max_model_bytes)
        found = _check(files, name, settings.upload_memory_bytes)
        digests = {each: _content(*file) for each, file in files.items()}
        content = ModelContent(digests, found.model_type, found.masked_weights)

        def store(on_stored: uploaded_models.OnStored) -> None:
            uploaded_models.put(
                services.database,
                owner=owner,
                name=name,
                content=content,
                chunk_bytes=settings.chunk_bytes,
                on_stored=on_stored,
                storage_url=settings.storage_url,
                quota=Quota.from_settings(settings),
            )

        def document(session: Session, row: models.UploadedModel) -> UploadedModel:
            return UploadedModel.from_row(row, uploaded_models.files_of(session, row.number))

        return store_once(idempotency, f"{content.sha256} {name}".encode(), store, document, router.prefix)


def _check(files: dict[str, tuple[IO[bytes], int]], name: str | None, memory_bytes: int) -> CheckedModel:
    """Raises PermanentError as for a local folder."""
    with tempfile.TemporaryDirectory(prefix="espalier-model-") as outer:
        folder = Path(outer) / (name or "uploaded").replace("/", "_")
        folder.mkdir()
        write_sketch(folder, {each: (partial(_read, file), size) for each, (file, size) in files.items()})
        return check_confined(folder, ModelUse(), memory_bytes)


def _read(file: IO[bytes], start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)


def _content(file: IO[bytes], size: int) -> FileContent:
    file.seek(0)
    digest = hashlib.sha256()
    while data := file.read(1024 * 1024):
        digest.update(data)
    file.seek(0, os.SEEK_SET)
    return FileContent(file, size, digest.hexdigest())


@router.get("/{model_id}", operation_id="getModel", responses=problem_responses(404), summary="Get an uploaded model")
def get_model(model_id: ModelId, services: ServicesDep, caller: Reader) -> UploadedModel:
    """Its type, size and files."""
    with services.database.read() as session:
        row = uploaded_models.get(session, model_id, owner=caller.owner_filter)
        return UploadedModel.from_row(row, uploaded_models.files_of(session, row.number))


@router.get(
    "/{model_id}/files/{name}",
    operation_id="downloadModelFile",
    response_class=Response,
    responses=problem_responses(404, 416) | _CONTENT,
    summary="Download a file of an uploaded model",
)
def download_file(model_id: ModelId, name: FileName, request: Request, services: ServicesDep, caller: Reader) -> Response:
    """``ETag`` is the sha-256 of the file; ``Range`` and ``If-Range`` are honoured."""
    with services.database.read() as session:
        row = uploaded_models.get(session, model_id, owner=caller.owner_filter)
        file = next((each for each in uploaded_models.files_of(session, row.number) if each.name == name), None)
    if file is None:
        raise UploadedModelNotFoundError(f"{model_id} with a file {name}")
    read = partial(uploaded_models.iter_file, services.database, file)
    return file_response(request, file.size, read, file_headers(file.sha256, name))


@router.delete(
    "/{model_id}",
    operation_id="deleteModel",
    status_code=204,
    responses=problem_responses(404, 409),
    summary="Delete an uploaded model",
)
def delete_model(model_id: ModelId, services: ServicesDep, caller: Writer) -> None:
    """409 while a job that has not ended reads it. Masks that were trained on it stay; keep the files, which the masks need."""
    with services.database.write() as session:
        number = uploaded_models.hide(session, model_id, owner=caller.owner_filter)
    uploaded_models.purge(services.database, number)
