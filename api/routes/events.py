"""History routes of a job: events (pages or a live stream), metrics by step (JSON or CSV), and a readable log."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Row

from api.errors.problems import problem_responses
from api.request.auth import Reader
from api.request.deps import JobId, ServicesDep
from api.request.paging import MAX_INTEGER, RowCursor, page_size
from api.responses import metric_history
from api.responses.routing import AuthenticatedRoute
from api.responses.sse import EventStream
from api.schemas.events import Event, EventList, MetricList
from service.db.engine import Database
from service.jobs import queries

_DIGEST = re.compile(r"[0-9a-f]{40,128}")
router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["events"], route_class=AuthenticatedRoute)
_TEXT = {"schema": {"type": "string"}}
Accept = Annotated[str, Header(include_in_schema=False)]


@router.get(
    "/events",
    operation_id="listEvents",
    response_model=EventList,
    responses=problem_responses(404, 422) | {200: {"content": {"text/event-stream": _TEXT}}},
    summary="Events of a job",
)
def list_events(
    job_id: JobId,
    services: ServicesDep,
    caller: Reader,
    after: RowCursor = 0,
    limit: Annotated[int, page_size("events", 1000)] = 100,
    accept: Accept = "",
    last_event_id: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, le=MAX_INTEGER, description="For a stream: the last `id` seen")
    ] = None,
) -> EventList | Response:
    """A page of events numbered above ``after``; with ``Accept: text/event-stream`` all of them, then live until `end`.

    In a stream, ``id`` is the event's ``seq``; reconnect with ``Last-Event-ID`` to continue after it.
    """
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
        if "text/event-stream" in accept.lower():
            start = last_event_id if last_event_id is not None else after
            return EventStream(
                services.database, job_id, after=start, slots=services.stream_slots, owner=caller.owner, key_id=caller.key_id
            )
        rows, more = queries.event_page(session, job_id, after=after, limit=limit)
    data = [Event.from_row(row) for row in rows]
    return EventList(data=data, has_more=more, next_cursor=str(data[-1].seq) if more else None)


@router.get(
    "/metrics",
    operation_id="listMetrics",
    response_model=MetricList,
    responses=problem_responses(404, 422) | {200: {"content": {"text/csv": _TEXT}}},
    summary="Metrics of a job by step",
)
def list_metrics(
    job_id: JobId,
    services: ServicesDep,
    caller: Reader,
    after: RowCursor = 0,
    limit: Annotated[int, page_size("steps", 10_000)] = 1000,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="Overrides Accept")] = None,
    accept: Accept = "",
) -> MetricList | Response:
    """A page as JSON; everything as CSV with ``Accept: text/csv`` or ``?format=csv``. Steps repeated by a resumed run are returned
    once."""
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
        if form == "csv" or (form is None and "text/csv" in accept.lower()):
            headers = {"Content-Disposition": f'attachment; filename="{job_id}_metrics.csv"'}
            return StreamingResponse(_csv(services.database, job_id), headers=headers, media_type="text/csv")
        data, next_row = metric_history.read_steps(session, job_id, after=after, limit=limit)
    return MetricList(data=data, has_more=next_row is not None, next_cursor=str(next_row) if next_row else None)


@router.get(
    "/log",
    operation_id="getLog",
    response_class=Response,
    responses=problem_responses(404) | {200: {"content": {"text/plain": _TEXT}}},
    summary="Readable log of a job",
)
def get_log(job_id: JobId, services: ServicesDep, caller: Reader) -> Response:
    """One line per event of ``/events``, as text."""
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
    headers = {"X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_log(services.database, job_id), headers=headers, media_type="text/plain")


def _csv(database: Database, job_id: str) -> Iterator[str]:
    names = dict.fromkeys(name for row in metric_history.iterate_steps(database, job_id) for name in row.values)
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(["step", "attempt", *names])
    for row in metric_history.iterate_steps(database, job_id):
        writer.writerow([row.step, row.attempt, *(row.values.get(name, "") for name in names)])
        if line.tell() > 16_384:
            yield line.getvalue()
            line.seek(0)
            line.truncate()
    yield line.getvalue()


def _log(database: Database, job_id: str) -> Iterator[str]:
    seq = 0
    while True:
        with database.read() as session:
            rows = queries.events(session, job_id, after=seq)
        if not rows:
            return
        yield "".join(_format_line(row) for row in rows)
        seq = rows[-1].seq


def _format_line(event: Row[Any]) -> str:
    """``2026-01-31T09:30:00Z  1  phase  training``; the further lines of a message are indented."""
    text = describe(event).replace("\r", "").replace("\n", "\n    ")
    return f"{event.created_at:%Y-%m-%dT%H:%M:%SZ}  {event.attempt}  {event.type:<11} {text}\n"


def describe(event: Row[Any] | Event) -> str:
    """Text of an event: its message, and the rest of its data as ``name=value``."""
    data: dict[str, Any] = dict(event.data)
    for repeated in ("event", "time"):
        data.pop(repeated, None)
    message = str(data.pop("message", "") or "")
    words = [message] if message else []
    words += [
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in _readable(data).items()
    ]
    return " ".join(words)


def _readable(value: Any) -> Any:
    """Numbers with four digits, digests with twelve: the whole ones are in the event."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, str):
        return f"{value[:12]}…" if _DIGEST.fullmatch(value) else value
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list) else value
