"""Jobs: submit, list, look, steer, delete. A write commits at the end of its block; what follows is already true."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from api import admission, schemas
from api.deps import JobId, Served
from api.problems import declared
from jobs import artifacts, crash, models, queue, store
from jobs.states import Status
from pruning.spec import Method

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_LOCATION: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "Path of the job", "schema": {"type": "string"}}}},
}
Text = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.post(
    "",
    operation_id="createJob",
    status_code=202,
    responses=declared(400, 413, 415, 422) | _LOCATION,
    summary="Submit a job",
)
def create_job(request: schemas.JobRequest, served: Served, response: Response) -> schemas.Job:
    """Answers once the job is stored, with every default filled in. What is sure to fail is refused at once."""
    admission.check(request, served.settings)
    with served.database.write() as session:
        job = store.create(
            session,
            spec=request.spec.model_dump(mode="json"),
            metadata=request.metadata,
            priority=request.priority,
            max_duration=request.max_duration,
        )
        shown = schemas.Job.of(job, artifacts=[])
        crash.here(crash.Point.SUBMIT_WRITTEN)
    return _accepted(shown, served, response)


@router.get("", operation_id="listJobs", responses=declared(422), summary="List jobs, newest first")
def list_jobs(
    served: Served,
    limit: Annotated[int, Query(ge=1, le=100, description="Largest number of jobs returned")] = 20,
    after: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
    status: Annotated[Status | None, Query(description="Only jobs in this state")] = None,
    task: Annotated[Text, Query(description="Only jobs for this task, by name")] = None,
    model: Annotated[Text, Query(description="Only jobs of this model")] = None,
    method: Annotated[Method | None, Query(description="Only jobs by this method")] = None,
) -> schemas.JobList:
    """Pages neither repeat nor skip a job while others come and go."""
    with served.database.read() as session:
        rows, cursor = store.page(
            session, limit=limit, after=after, status=status, task=task, model=model, method=method
        )  # fmt: skip
        made = artifacts.of_jobs(session, [row.id for row in rows])
        data = [schemas.Job.of(row, made.get(row.id, [])) for row in rows]
    return schemas.JobList(data=data, has_more=cursor is not None, next_cursor=cursor)


@router.get("/{job_id}", operation_id="getJob", responses=declared(404), summary="Look at a job")
def get_job(job_id: JobId, served: Served) -> schemas.Job:
    """State, phase, progress, latest metrics, and links to what it made."""
    with served.database.read() as session:
        return _shown(session, store.get(session, job_id))


@router.post("/{job_id}/cancel", operation_id="cancelJob", responses=declared(404, 409), summary="Cancel a job")
def cancel_job(job_id: JobId, served: Served) -> schemas.Job:
    """At once while no worker has it, else within seconds. Asking again changes nothing; 409 once succeeded or failed."""
    with served.database.write() as session:
        shown = _shown(session, store.request_cancel(session, job_id))
    crash.here(crash.Point.WISH_COMMITTED)
    return shown


@router.post("/{job_id}/pause", operation_id="pauseJob", responses=declared(404, 409), summary="Pause a job")
def pause_job(job_id: JobId, served: Served) -> schemas.Job:
    """At once while no worker has it, else within seconds and with a checkpoint. Asking again changes nothing."""
    with served.database.write() as session:
        shown = _shown(session, store.request_pause(session, job_id))
    crash.here(crash.Point.WISH_COMMITTED)
    return shown


@router.post("/{job_id}/resume", operation_id="resumeJob", responses=declared(404, 409), summary="Resume a paused job")
def resume_job(job_id: JobId, served: Served) -> schemas.Job:
    """Queues it again; it goes on from its checkpoint. A wish to pause that was not fulfilled yet is taken back."""
    with served.database.write() as session:
        shown = _shown(session, store.resume(session, job_id))
    crash.here(crash.Point.WISH_COMMITTED)
    if shown.status is Status.QUEUED:
        queue.ring(served.celery)
    return shown


@router.post(
    "/{job_id}/retry",
    operation_id="retryJob",
    status_code=202,
    responses=declared(404, 409) | _LOCATION,
    summary="Do a failed or cancelled job again",
)
def retry_job(job_id: JobId, served: Served, response: Response) -> schemas.Job:
    """Answers with a new job of the same spec, whose `retried_from` is this one; the same new job until that has ended."""
    with served.database.write() as session:
        shown = _shown(session, store.retry(session, job_id))
        crash.here(crash.Point.SUBMIT_WRITTEN)
    return _accepted(shown, served, response)


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    status_code=204,
    responses=declared(404, 409),
    summary="Delete a finished job",
)
def delete_job(job_id: JobId, served: Served) -> None:
    """With its events, metrics and artifacts. 409 while it is not finished: cancel it first."""
    with served.database.write() as session:
        store.delete(session, job_id)


def _accepted(shown: schemas.Job, served: Served, response: Response) -> schemas.Job:
    """The answer for a job that is stored, once somebody was told of it."""
    crash.here(crash.Point.SUBMIT_COMMITTED)
    queue.ring(served.celery)  # unheard, it costs seconds: workers also look by themselves
    crash.here(crash.Point.SUBMIT_RUNG)
    response.headers["Location"] = f"/v1/jobs/{shown.id}"
    return shown


def _shown(session: Session, job: models.Job) -> schemas.Job:
    return schemas.Job.of(job, artifacts.listing(session, job.id))
