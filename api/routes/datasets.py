"""Data set routes: upload, list, get, read some rows, delete. A custom task refers to a data set by its id."""

import json
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import HTTPException
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from api.errors.exceptions import UnavailableError
from api.errors.problems import problem_response, problem_responses
from api.request.auth import Caller, Reader, Writer
from api.request.deps import DatasetId, Services, ServicesDep
from api.request.idempotency import IdempotentRequest, StreamIdempotency
from api.request.paging import NumberCursor, RowCursor, page_size
from api.request.uploads import form_body, received_form, store_once, uploaded_responses
from api.responses.routing import AuthenticatedRoute
from api.schemas.datasets import Dataset, DatasetList, RowList
from api.uploads.confined import ParseLimits
from api.uploads.form import MAX_SPLITS, parse_form
from api.uploads.isolation import InvalidRowsError, NormalizedDataset, normalize_splits
from pruning.data.files.formats import TooLargeError, UnknownFormatError
from pruning.processes.pipe_lines import LineBuffer
from service import datasets
from service.access.quotas import Quota
from service.db import models
from service.db.engine import Database
from service.errors import SplitNotFoundError

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=AuthenticatedRoute)
FORM_OVERHEAD_BYTES = 64 * 1024
"""Bytes that a form may have in addition to its files."""
_PARSE_WAIT_SECONDS = 60
"""Longest that a received data set waits for others to be read."""
_PIECE_BYTES = 256 * 1024
"""Bytes that are decompressed at once: a chunk of some kilobytes may unpack to megabytes."""
_PAGE_BYTES = 8 * 1024 * 1024
"""Rows of one page, in bytes; a page has at least one row, however long."""
_FILE = {"type": "string", "format": "binary", "description": ".jsonl, .csv (both also .gz) or .parquet"}
_ROWS = _FILE | {"examples": ["text,label\na fine film,1\n"]}
_KIND = {"contentType": "text/csv, application/x-ndjson, application/vnd.apache.parquet"}
"""Media types of a file whose name does not say its format."""
_FORM = form_body(
    {"train": _ROWS, "validation": _ROWS},
    additionalProperties=_FILE | {"description": "A further split, by its name"},
    encoding={"train": _KIND, "validation": _KIND},
)
_UPLOADED = uploaded_responses("data set", Dataset, "rows")


@router.post(
    "",
    operation_id="createDataset",
    status_code=201,
    response_model=Dataset,
    responses=problem_responses(400, 408, 409, 413, 415, 422, 507) | _UPLOADED,
    openapi_extra=_FORM,
    summary="Upload a data set",
)
async def create_dataset(request: Request, services: ServicesDep, caller: Writer, idempotency: StreamIdempotency) -> Response:
    """One file per split, as a form. The same rows again are the same data set, in any format. Every row

    is checked: `errors` lists the faults, up to twenty of them.
    """
    return await receive_dataset(request, services, caller, idempotency)


async def receive_dataset(
    request: Request,
    services: Services,
    caller: Caller,
    idempotency: IdempotentRequest,
    *,
    accept: Callable[[FormData], FormData] | None = None,
    further_fields: int = 0,
) -> Response:
    """Store the data set that ``request`` is the form of; within the limits on what is received and parsed at a time.

    ``accept`` gets the received form, with ``further_fields`` that are not a part of a data set, and returns the rest.
    """
    receiving = received_form(
        request,
        services,
        caller.owner,
        kind="data set",
        seconds=services.settings.upload_seconds,
        max_files=MAX_SPLITS,
        max_fields=1 + further_fields,
        remedy="send one file per split as a form (multipart/form-data): curl -F train=@train.csv",
    )
    try:
        async with receiving as form:
            accepted = accept(form) if accept is not None else form
            return await run_in_threadpool(_create, request, services, caller.owner, idempotency, accepted)
    except InvalidRowsError as fault:
        more = f" (and {len(fault.faults) - 1} more, see errors)" if len(fault.faults) > 1 else ""
        return problem_response(request, "dataset_invalid", f"{fault}{more}", fault.faults)


def _create(request: Request, services: Services, owner: str, idempotency: IdempotentRequest, form: FormData) -> Response:
    settings = services.settings
    if not services.parse_slots.acquire(timeout=_PARSE_WAIT_SECONDS):
        raise UnavailableError("too_many_uploads", "other data sets are being read; try again in a moment")
    try:
        name, files = parse_form(form)
        limits = ParseLimits(settings.upload_memory_bytes, settings.upload_seconds)
        with normalize_splits(files, settings.max_dataset_bytes, limits) as found:
            return _store(services, owner, name, found, idempotency)
    except TooLargeError as fault:
        raise HTTPException(413, str(fault)) from fault
    except UnknownFormatError as fault:
        return problem_response(request, "unsupported_media_type", str(fault))
    finally:
        services.parse_slots.release()


def _store(services: Services, owner: str, name: str | None, found: NormalizedDataset, idempotency: IdempotentRequest) -> Response:
    def store(on_stored: datasets.OnStored) -> None:
        datasets.put(
            services.database,
            owner=owner,
            name=name,
            sha256=found.sha256,
            splits=found.splits,
            files=found.files,
            chunk_bytes=services.settings.chunk_bytes,
            on_stored=on_stored,
            quota=Quota.from_settings(services.settings),
        )

    def document(_: Session, row: models.Dataset) -> Dataset:
        return Dataset.from_row(row, found.splits)

    return store_once(idempotency, f"{found.sha256} {name}".encode(), store, document, router.prefix)


@router.get("", operation_id="listDatasets", responses=problem_responses(422), summary="List data sets, newest first")
def list_datasets(
    services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("data sets")] = 20, after: NumberCursor = None
) -> DatasetList:
    """The list has no rows."""
    with services.database.read() as session:
        rows, cursor = datasets.page(session, limit=limit, owner=caller.owner_filter, after=after)
    next_cursor = str(cursor) if cursor is not None else None
    return DatasetList(data=[Dataset.from_row(row) for row in rows], has_more=cursor is not None, next_cursor=next_cursor)


@router.get("/{dataset_id}", operation_id="getDataset", responses=problem_responses(404), summary="Get a data set")
def get_dataset(dataset_id: DatasetId, services: ServicesDep, caller: Reader) -> Dataset:
    """Its splits, with the kinds of values in each column."""
    with services.database.read() as session:
        return Dataset.from_row(datasets.get(session, dataset_id, owner=caller.owner_filter))


@router.get("/{dataset_id}/rows", operation_id="listDatasetRows", responses=problem_responses(404, 422), summary="Read some rows")
def list_rows(
    dataset_id: DatasetId,
    services: ServicesDep,
    caller: Reader,
    split: Annotated[str, Query(max_length=100, description="Which split")] = "train",
    limit: Annotated[int, page_size("rows")] = 10,
    after: RowCursor = 0,
) -> RowList:
    """The rows as the trainer reads them."""
    with services.database.read() as session:
        row = datasets.get(session, dataset_id, owner=caller.owner_filter)
    if split not in row.splits:
        raise SplitNotFoundError(f"Data set {dataset_id} has no split {split!r}; it has {', '.join(row.splits)}.")
    data: list[dict[str, Any]] = []
    size = 0
    for line in islice(_lines(services.database, row.number, split), after, after + limit):
        size += len(line)
        if data and size > _PAGE_BYTES:
            break
        data.append(json.loads(line))
    more = after + len(data) < row.splits[split]["rows"] and bool(data)
    return RowList(data=data, has_more=more, next_cursor=str(after + len(data)) if more else None)


def _lines(database: Database, number: int, split: str) -> Iterator[bytes]:
    """The rows of a split, decompressed only as far as they are read."""
    decompressor, buffer = zlib.decompressobj(wbits=31), LineBuffer(sys.maxsize)
    for chunk in datasets.iter_split(database, number, split):
        packed, piece = chunk, b""
        while packed or len(piece) == _PIECE_BYTES:  # a full piece: there may be more without further input
            piece = decompressor.decompress(packed, _PIECE_BYTES)
            packed = decompressor.unconsumed_tail
            yield from buffer.feed(piece)


@router.delete(
    "/{dataset_id}",
    operation_id="deleteDataset",
    status_code=204,
    responses=problem_responses(404, 409),
    summary="Delete a data set",
)
def delete_dataset(dataset_id: DatasetId, services: ServicesDep, caller: Writer) -> None:
    """409 while a job that has not ended reads it. Masks that were trained on it stay."""
    with services.database.write() as session:
        datasets.delete(session, dataset_id, owner=caller.owner_filter)
