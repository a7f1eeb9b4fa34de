"""Page of a job: its state, curves, events, spec, densities and files, and commands that repeat it; updated live."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy.orm import Session

from api.errors.exceptions import NotPossibleError
from api.pages.access import PageReader, PageRoute
from api.pages.job_density import REPORT, heat_maps
from api.pages.job_form import query_of
from api.pages.job_repeat import repetition, spec_fields
from api.pages.rendering import render, render_text
from api.request.auth import Caller
from api.request.deps import ArtifactName, JobId, Services, ServicesDep
from api.request.paging import MAX_INTEGER, RowCursor
from api.responses.job_documents import job_document, job_list
from api.responses.sse import EventStream
from api.routes import artifacts, events
from api.schemas.events import Event, MetricList
from api.schemas.jobs import Job
from pruning.spec.tasks import TASKS
from service.artifacts import store
from service.jobs import queries
from service.settings import Settings
from service.states import TERMINAL, JobKind, Status

router = APIRouter(prefix="/jobs/{job_id}", include_in_schema=False, route_class=PageRoute)
_EVENTS = 200
"""Latest events that are shown at first."""
_EVALUATIONS = 20
"""Latest evaluations that are listed."""
_POINTS = 2000
"""Most reports of one response; the page of a long job requests the next ones at once."""


@router.get("")
def job_page(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: PageReader,
    part: Annotated[Literal["state", "results"] | None, Query()] = None,
) -> Response:
    """The whole page, or one of the parts that htmx requests."""
    return render_job(request, services, caller, job_id, template=f"_job_{part}.html" if part else "job.html")


def render_job(
    request: Request,
    services: Services,
    caller: Caller,
    job_id: str,
    *,
    status: int = 200,
    template: str = "job.html",
    tried: dict[str, Any] | None = None,
    asked_rows: dict[str, Any] | None = None,
) -> Response:
    """The page, with predictions of its mask, or with the refusal of an evaluation. Raises JobNotFoundError."""
    with services.database.read() as session:
        row = queries.get(session, job_id, owner=caller.owner_filter)
        stored = store.list_for_job(session, job_id)
        job = job_document(session, services.settings, row)
        first = max(0, row.event_seq - _EVENTS)
        latest = queries.events(session, job_id, after=first, limit=_EVENTS)
        evaluations = _evaluations(session, services.settings, job) if template == "job.html" else None
    report = next((artifact for artifact in stored if artifact.name == REPORT), None)
    url = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
    is_whole = template == "job.html"
    repeat = repetition(job, url, keys_required=services.settings.keys_required) if is_whole else None
    return render(
        request,
        template,
        status,
        job=job,
        job_device=row.device,
        is_live=job.status not in TERMINAL,
        events=[_shown(event) for event in latest] if is_whole else [],
        event_seq=row.event_seq,
        left_out=first,
        fields=spec_fields(job) if is_whole else [],
        repeat=repeat,
        change=query_of(repeat.body) if repeat is not None and job.kind is JobKind.PRUNING else None,
        further=_prune_further(job, repeat.body) if repeat is not None else None,
        heat_maps=heat_maps(services.database, report) if report is not None and template != "_job_state.html" else [],
        may_predict=_may_predict(services, job),
        text_columns=_text_columns(job),
        tried=tried,
        evaluations=evaluations,
        asked_rows=asked_rows,
    )


@router.get("/stream")
def stream(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: PageReader,
    after: RowCursor = 0,
    last_event_id: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=MAX_INTEGER)] = None,
) -> Response:
    """The event stream of the JSON route, its events as lines of HTML, so that the page adds them as they come."""
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
    return EventStream(
        services.database,
        job_id,
        after=after if last_event_id is None else last_event_id,
        slots=services.stream_slots,
        owner=caller.owner,
        key_id=caller.key_id,
        format_event=lambda event: render_text(request, "_event.html", event=_shown(event)),
    )


@router.get("/curves")
def curves(job_id: JobId, services: ServicesDep, caller: PageReader, after: RowCursor = 0) -> dict[str, Any]:
    """Reports after row ``after``, for the curves of the page. ``rows`` are step, attempt and values."""
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
        rows, more = queries.metric_page(session, job_id, after=after, limit=_POINTS)
    return {"rows": [[row.step, row.attempt, row.values] for row in rows], "after": rows[-1].id if rows else after, "more": more}


@router.get("/log")
def log(job_id: JobId, services: ServicesDep, caller: PageReader) -> Response:
    """All events as text."""
    return events.get_log(job_id, services, caller)


@router.get("/metrics.csv", response_model=None)
def metrics_csv(job_id: JobId, services: ServicesDep, caller: PageReader) -> Response | MetricList:
    """All points of the curves as a table."""
    return events.list_metrics(job_id, services, caller, form="csv")


@router.get("/artifacts/{name}")
def artifact(job_id: JobId, name: ArtifactName, request: Request, services: ServicesDep, caller: PageReader) -> Response:
    """A file that the job made, as the JSON route sends it."""
    return artifacts.download_artifact(job_id, name, request, services, caller)


def _shown(event: Any) -> dict[str, Any]:
    known = event if isinstance(event, Event) else Event.from_row(event)
    is_problem = known.type == "error" or known.data.get("level") == "warning" or "error" in known.data
    return {"seq": known.seq, "type": known.type, "at": known.created_at, "text": events.describe(known), "is_problem": is_problem}


def _prune_further(job: Job, body: dict[str, Any]) -> str | None:
    """The query that fills the form with a job like this one that starts from its mask; None where it has no mask, or its method no
    start from one."""
    if job.status is not Status.SUCCEEDED or job.kind is not JobKind.PRUNING or job.spec.get("prior") is None:
        return None
    return query_of({**body, "init_from": job.id})


def _may_predict(services: Services, job: Job) -> bool:
    if job.status is not Status.SUCCEEDED or job.kind is not JobKind.PRUNING:
        return False
    try:
        services.predictions.require_enabled()
    except NotPossibleError:
        return False
    return True


def _evaluations(session: Session, settings: Settings, job: Job) -> list[Job] | None:
    """The latest evaluations of its mask; None where it has none to evaluate."""
    if job.status is not Status.SUCCEEDED or job.kind is not JobKind.PRUNING:
        return None
    ids, cursor = queries.page(session, limit=_EVALUATIONS, kind=JobKind.EVALUATION, of=job.id)
    return job_list(session, settings, ids, cursor).data


def _text_columns(job: Job) -> tuple[str, ...]:
    """Names of the one or two columns that the task reads."""
    task = job.spec.get("task")
    if isinstance(task, dict):
        return tuple(task.get("text") or ("text",))
    return TASKS[task].text if task in TASKS else ("text",)
