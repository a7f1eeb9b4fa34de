"""Submission page of jobs: a form generated from the JSON Schema of the spec, with an estimate before it is sent.

The checks and refusals are those of ``POST /v1/jobs``, the estimate is its dry run. Any field can be given in
the query, so that a link may fill the form. Works without JavaScript, which adds estimates during input.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from api.errors.handlers import respond
from api.pages import job_form
from api.pages.access import TOKEN_FIELD, PageRoute, PageWriter
from api.pages.form_fields import NULL, Typed
from api.pages.forms import parse_body, redirect
from api.pages.rendering import render
from api.request.auth import Caller
from api.request.deps import Services, ServicesDep
from api.request.idempotency import IdempotentRequest
from api.routes import catalog, datasets, jobs
from api.schemas.datasets import Dataset
from api.schemas.dry_run import DryRun
from api.schemas.job_request import JobRequest
from api.submission.dry_run import preview
from pruning.hub.local import find_folder, folder_names, model_folders
from service import uploaded_models
from service.access.api_keys import Scope
from service.db.models import UploadedModel

router = APIRouter(prefix="/new", include_in_schema=False, route_class=PageRoute)
ONCE_FIELD, ACTION_FIELD, ESTIMATE = "once", "do", "estimate"
_OFFERED = 100
"""Data sets and models of the owner that are offered by name, newest first."""


async def _typed(request: Request) -> dict[str, list[str]]:
    form = await request.form()
    texts = {name: [value for value in form.getlist(name) if isinstance(value, str)] for name in form}
    return {name: values for name, values in texts.items() if name != TOKEN_FIELD}


@router.get("")
def new_job(request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """The form, filled with what the query has."""
    query = request.query_params
    return _form(request, services, caller, {name: query.getlist(name) for name in query})


@router.post("")
def send(
    request: Request,
    services: ServicesDep,
    caller: PageWriter,
    typed: Annotated[dict[str, list[str]], Depends(_typed)],
    hx_request: Annotated[str, Header()] = "",
) -> Response:
    """Redirect to the new job; or the form again, with the requested estimate or the refusal. For htmx the estimate alone."""
    body = job_form.body_of(typed)
    expected, problem, status, headers = None, None, 200, {}
    try:
        asked = parse_body(JobRequest, body)
        if not hx_request and ESTIMATE not in typed.get(ACTION_FIELD, ()):
            accepted = jobs.create_job(asked, services, caller, _once(services, caller, typed, body))
            job_id = accepted.headers["Location"].rpartition("/")[2]
            return redirect(request, f"/jobs/{job_id}")
        expected = preview(asked, services, caller)
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        answer = respond(request, error)
        problem, status = json.loads(bytes(answer.body)), answer.status_code
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
    if hx_request:
        return render(
            request, "_estimate.html", expected=expected, problem=problem, defaults=job_form.defaults_of(body), is_begun=bool(body)
        )
    page = _form(request, services, caller, typed, status, expected=expected, problem=problem)
    page.headers.update(headers)
    return page


def _once(services: Services, caller: Caller, typed: Typed, body: dict[str, Any]) -> IdempotentRequest:
    """Idempotency key of a form: the same content of the same page is one job."""
    content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    page = next(iter(typed.get(ONCE_FIELD, ())), "")
    key = hashlib.sha256(f"{page} {content}".encode()).hexdigest() if page else None
    return IdempotentRequest(services, caller.owner, "POST /new", key, content)


def _form(
    request: Request,
    services: Services,
    caller: Caller,
    typed: Typed,
    status: int = 200,
    *,
    expected: DryRun | None = None,
    problem: dict[str, Any] | None = None,
) -> Response:
    form, body = job_form.job_form(), job_form.body_of(typed)
    faults, unplaced = _faults_by_field(problem)
    own = _own_datasets(services, caller)
    named = next(iter(typed.get("task.dataset", ())), "").strip()
    return render(
        request,
        "new_job.html",
        status,
        form=form,
        custom=job_form.CUSTOM,
        null=NULL,
        values={field.name: typed[field.name] for field in form.fields if field.name in typed and not field.secret},
        defaults=job_form.defaults_of(body),
        faults=faults,
        unplaced=unplaced,
        problem=problem,
        first_fault=next(iter(faults), None),
        expected=expected,
        is_begun=bool(body),
        once=secrets.token_urlsafe(16),
        unknown=sorted(typed.keys() - {field.name for field in form.fields} - {ONCE_FIELD, ACTION_FIELD}),
        models=_local_models(services),
        uploaded_models=_own_models(services, caller),
        tasks=catalog.list_tasks(services).data,
        datasets=own,
        dataset_folders=_dataset_folders(services),
        columns=_columns(next((dataset for dataset in own if dataset.id == named), None)),
    )


def _faults_by_field(problem: dict[str, Any] | None) -> tuple[dict[str, list[str]], list[str]]:
    """The faults of each field, in the order of the form; and those without a visible field."""
    if problem is None:
        return {}, []
    placed: dict[str, list[str]] = {}
    unplaced = [] if problem.get("errors") else [problem["detail"]]
    for fault in problem.get("errors", ()):
        name = job_form.field_at(fault.get("pointer") or "")
        (placed.setdefault(name, []) if name is not None else unplaced).append(fault["detail"])
    order = [field.name for field in job_form.job_form().fields]
    return dict(sorted(placed.items(), key=lambda item: order.index(item[0]))), unplaced


def _own_datasets(services: Services, caller: Caller) -> Sequence[Dataset]:
    """Data sets that a job of the caller can read: an admin sees others', too."""
    as_owner = replace(caller, scopes=frozenset({Scope.READ}))
    return datasets.list_datasets(services, as_owner, _OFFERED).data


def _own_models(services: Services, caller: Caller) -> Sequence[UploadedModel]:
    """Models that a job of the caller can name, newest first."""
    with services.database.read() as session:
        return uploaded_models.page(session, limit=_OFFERED, owner=caller.owner)[0]


def _local_models(services: Services) -> list[str]:
    return [name for name, _ in model_folders(services.settings.models_dir)]


def _dataset_folders(services: Services) -> list[str]:
    """Local data sets that are not those of a task by name."""
    directory = services.settings.datasets_dir
    known = {task.name for task in catalog.list_tasks(services).data}
    found = ((name, find_folder(directory, name)) for name in folder_names(directory) if name not in known)
    return [name for name, folder in found if folder is not None and any(each.is_file() for each in folder.iterdir())]


def _columns(dataset: Dataset | None) -> list[str]:
    """Names of the columns of all splits."""
    splits = dataset.splits if dataset is not None else []
    return [*dict.fromkeys(column.name for split in splits for column in split.columns)]
