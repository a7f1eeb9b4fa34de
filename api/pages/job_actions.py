"""Actions on the page of a job: cancel, pause, resume, retry, delete; predict with its mask, and evaluate it.

Every action calls the function of the JSON route and redirects to a page (303), so that all of them work without JavaScript.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from api.pages.access import PageReader, PageRoute, PageWriter
from api.pages.error_pages import refusal_of
from api.pages.forms import action_of, parse_body, redirect
from api.pages.job import render_job
from api.request.deps import JobId, ServicesDep
from api.request.idempotency import IdempotentRequest
from api.routes import evaluations, jobs, predictions
from api.schemas.job_request import EvaluationRequest
from api.schemas.predictions import PredictionRequest

router = APIRouter(prefix="/jobs/{job_id}", include_in_schema=False, route_class=PageRoute)
_CHANGES = {"cancel": jobs.cancel_job, "pause": jobs.pause_job, "resume": jobs.resume_job}


@router.post("/retry")
def retry(job_id: JobId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the new job; when sent twice, to the same one."""
    unkeyed = IdempotentRequest(services, caller.owner, "POST /jobs/{job_id}/retry", None, "")
    accepted = jobs.retry_job(job_id, services, caller, unkeyed)
    return redirect(request, accepted.headers["Location"].removeprefix("/v1"))


@router.post("/delete")
def delete(job_id: JobId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the list of jobs."""
    jobs.delete_job(job_id, services, caller)
    return redirect(request, "/")


@router.post("/predictions")
def predict(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: PageReader,
    texts: Annotated[str, Form()] = "",
    pairs: Annotated[str | None, Form()] = None,
) -> Response:
    """The page again, with predictions for each line of ``texts``, and of ``pairs`` for tasks on two columns; or the refusal."""
    given = _lines(texts, pairs)
    tried: dict[str, Any] = {"texts": texts, "pairs": pairs or "", "given": given, "rows": [], "refusal": None}
    try:
        asked = parse_body(PredictionRequest, {"texts": given})
        tried["rows"] = predictions.predict(job_id, asked, services, caller).data
        status = 200
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        status, tried["refusal"] = refusal_of(request, error)
    return render_job(request, services, caller, job_id, status=status, tried=tried)


@router.post("/evaluations")
def evaluate(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: PageWriter,
    dataset: Annotated[str, Form()] = "",
    split: Annotated[str, Form()] = "",
    rows: Annotated[str, Form()] = "",
    dense: Annotated[bool, Form()] = False,
) -> Response:
    """Redirect to the evaluation job; or the page again with the refusal."""
    given = {"dataset": dataset.strip(), "split": split.strip(), "rows": rows.strip()}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value}
    if asked.get("rows", "").isdecimal():
        asked["rows"] = int(asked["rows"])
    unkeyed = IdempotentRequest(services, caller.owner, "POST /jobs/{job_id}/evaluations", None, "")
    try:
        body = parse_body(EvaluationRequest, {**asked, "dense": dense})
        accepted = evaluations.create_evaluation(job_id, body, services, caller, unkeyed)
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        status, refusal = refusal_of(request, error)
        again = {**given, "dense": dense, "refusal": refusal}
        return render_job(request, services, caller, job_id, status=status, asked_rows=again)
    return redirect(request, accepted.headers["Location"].removeprefix("/v1"))


@router.post("/cancel")
@router.post("/pause")
@router.post("/resume")
def change_state(job_id: JobId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the job."""
    _CHANGES[action_of(request)](job_id, services, caller)
    return redirect(request, f"/jobs/{job_id}")


def _lines(texts: str, pairs: str | None) -> list[Any]:
    firsts = texts.splitlines()
    if pairs is None:
        return [line for line in firsts if line.strip()]
    seconds = pairs.splitlines()
    length = max(len(firsts), len(seconds))
    padded = ([*lines, *[""] * (length - len(lines))] for lines in (firsts, seconds))
    return [[first, second] for first, second in zip(*padded, strict=True) if first.strip() or second.strip()]
