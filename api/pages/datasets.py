"""Pages of data sets: upload with one file per split, the list, and one data set with its columns, first rows and use in a job.

They call the functions of the JSON routes. An upload is received within the limits of ``POST /v1/datasets``, with and without
JavaScript, which adds the progress.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile

from api.errors.problems import Fault
from api.pages.access import TOKEN_FIELD, PageReader, PageRoute, PageUploader, PageWriter, require_token
from api.pages.dataset_roles import TaskProposal
from api.pages.forms import is_given, redirect, send_upload
from api.pages.rendering import render
from api.request.auth import Caller
from api.request.deps import DatasetId, Services, ServicesDep
from api.request.idempotency import IdempotentRequest
from api.request.paging import NumberCursor
from api.routes import datasets
from api.uploads.form import MAX_SPLITS
from api.uploads.isolation import InvalidRowsError
from service.datasets import dataset_id_for

router = APIRouter(prefix="/datasets", include_in_schema=False, route_class=PageRoute)
_PAGE = 20
_ROWS = 5
"""First rows of each split that are shown."""
SPLITS = ("train", "validation")
"""Splits with a field in the form; other splits are named by the user."""
FURTHER = tuple(f"further-{number}" for number in range(1, MAX_SPLITS - len(SPLITS) + 1))
"""Fields of their files; each has a field for the name of the split, too, ``further-1-name``."""
_OWN_FIELDS = 1 + len(FURTHER)
"""Fields of the page's form that the API's form does not have: the session's token and those names."""


@router.get("")
def datasets_page(request: Request, services: ServicesDep, caller: PageReader, after: NumberCursor = None) -> Response:
    """The form of an upload, and the data sets, newest first."""
    return _list(request, services, caller, after=after)


@router.post("")
async def upload(request: Request, services: ServicesDep, caller: PageUploader) -> Response:
    """Redirect to the data set; or the page again, with the faults of the files."""
    typed: dict[str, str] = {}

    def accept(form: FormData) -> FormData:
        require_token(request, form)
        typed.update({field: value.strip() for field, value in form.multi_items() if isinstance(value, str)})
        return _api_form(form, typed)

    def page(status: int, problem: dict[str, Any]) -> Response:
        return _list(request, services, caller, status, problem=problem, typed=typed)

    unkeyed = IdempotentRequest(services, caller.owner, "POST /datasets", None, "")
    sending = datasets.receive_dataset(request, services, caller, unkeyed, accept=accept, further_fields=_OWN_FIELDS)
    return await send_upload(request, sending, "/datasets", page)


@router.get("/{dataset_id}")
def dataset_page(dataset_id: DatasetId, request: Request, services: ServicesDep, caller: PageReader) -> Response:
    """Content: splits, columns with proposed roles, first rows; and the link to a new job."""
    dataset = datasets.get_dataset(dataset_id, services, caller)
    proposal = TaskProposal.from_dataset(dataset)
    is_own = dataset_id_for(caller.owner, dataset.sha256) == dataset.id  # a job can read its owner's data sets only
    query = urlencode(proposal.form_values(dataset_id), doseq=True)
    return render(
        request,
        "dataset.html",
        dataset=dataset,
        proposal=proposal,
        use=f"/new?{query}" if is_own else None,
        rows={split.name: datasets.list_rows(dataset_id, services, caller, split.name, _ROWS, 0).data for split in dataset.splits},
    )


@router.post("/{dataset_id}/delete")
def delete(dataset_id: DatasetId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the list."""
    datasets.delete_dataset(dataset_id, services, caller)
    return redirect(request, "/datasets")


def _api_form(form: FormData, typed: Mapping[str, str]) -> FormData:
    """The form that the API takes, with every further split under its name. Raises InvalidRowsError for one without."""
    fields: list[tuple[str, str | UploadFile]] = []
    for field, value in form.multi_items():
        if field == TOKEN_FIELD or (field.removesuffix("-name") in FURTHER and isinstance(value, str)) or not is_given(value):
            continue
        name = typed.get(f"{field}-name", "") if field in FURTHER else field
        if not name:
            raise InvalidRowsError([Fault(code="form_invalid", detail="name the split of this file", parameter=field)])
        fields.append((name, value))
    return FormData(fields)


def _list(
    request: Request,
    services: Services,
    caller: Caller,
    status: int = 200,
    *,
    after: int | None = None,
    problem: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    found = datasets.list_datasets(services, caller, _PAGE, after)
    faults: dict[str, list[str]] = {}
    fields = {name: field for field in FURTHER if (name := typed.get(f"{field}-name"))}
    fields |= {field: field for field in (*SPLITS, *FURTHER, "name")}
    unplaced = [] if problem is None or problem.get("errors") else [problem["detail"]]
    for fault in problem.get("errors", ()) if problem is not None else ():
        field = fields.get(fault.get("parameter"))
        (faults.setdefault(field, []) if field is not None else unplaced).append(fault["detail"])
    return render(
        request,
        "datasets.html",
        status,
        datasets=found.data,
        following=found.next_cursor,
        after=after,
        faults=faults,
        unplaced=unplaced,
        typed=typed,
        problem=problem,
        splits=SPLITS,
        further=FURTHER,
        max_bytes=services.settings.max_dataset_bytes,
    )
