"""Jobs: submit, list, look, cancel, delete. A write commits at the end of its block; what follows is already true."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from api import admission, schemas
from api.deps import JobId, Served
from api.problems import declared
from jobs import artifacts, models, queue, store
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
    queue.ring(served.celery)  # unheard, it costs seconds: workers also look by themselves
    response.headers["Location"] = f"/v1/jobs/{shown.id}"
    return shown


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
        return _shown(session, store.request_cancel(session, job_id))


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


def _shown(session: Session, job: models.Job) -> schemas.Job:
    return schemas.Job.of(job, artifacts.listing(session, job.id))
