"""Response bodies of jobs and their artifacts, built from rows while their session is open."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import BaseModel, Field
from sqlalchemy import Row

from api.errors.failures import failure_remedy
from api.schemas.base import Page
from api.schemas.webhooks import Webhook
from service.db import models
from service.db.models import kind_of
from service.jobs.views import ArtifactView, WebhookView
from service.states import JobKind, Status


class Progress(BaseModel):
    """Progress of the run."""

    step: int = Field(description="Optimizer steps completed")
    total_steps: int | None
    eta_seconds: float | None = Field(description="Estimated seconds until training ends")


class JobError(BaseModel):
    """Failure of the job; on a queued job, of its last run."""

    code: str = Field(description="Stable identifier")
    message: str
    param: str | None = Field(None, description="Field of the spec to change")
    kind: Literal["user", "system"] = Field(description="user: the spec must change; system: it need not")
    retryable: bool = Field(description="Whether the same job may succeed later")
    remedy: str = Field("", description="Remedy of the error code; empty for a code of another version")

    @classmethod
    def from_stored(cls, error: dict[str, Any]) -> Self:
        """The failure stored in a row's column."""
        return cls.model_validate({**error, "remedy": failure_remedy(str(error.get("code")))})


class JobWarning(BaseModel):
    """Reason to doubt the result."""

    code: str = Field(description="Stable identifier, see the error codes", examples=["predicts_one_class"])
    message: str
    remedy: str = Field(description="Remedy")


class Artifact(BaseModel):
    """A file that the job made."""

    name: str
    media_type: str
    bytes: int
    sha256: str = Field(description="Hexadecimal digest of the whole file")
    url: str = Field(description="Path to download it from, with the prefix of ESPALIER_ROOT_PATH")

    @classmethod
    def from_row(cls, row: models.Artifact | ArtifactView, root_path: str) -> Self:
        """``root_path``: path prefix of a proxy."""
        return cls(
            name=row.name,
            media_type=row.media_type,
            bytes=row.size,
            sha256=row.sha256,
            url=f"{root_path}/v1/jobs/{row.job_id}/artifacts/{row.name}",
        )


class EvaluatedRows(BaseModel):
    """The rows that a mask is evaluated on."""

    dataset: str | None = Field(description="Another data set; null: that of the mask's task")
    config: str | None = Field(description="Configuration of a hub data set")
    split: str | None = Field(description="null: the rows that the training validated on")
    rows: int | None = Field(description="The first rows alone")
    dense: bool = Field(description="Whether the dense model is evaluated as well, zero-shot")


class Job(BaseModel):
    """A job: it prunes, or it exports or evaluates the mask of another."""

    id: str = Field(examples=["job_01jd3xk5m8v6q2zr9w4t7y1n0b"])
    status: Status
    phase: str | None = Field(description="Phase of the run, e.g. training")
    attempt: int = Field(description="Runs begun")
    progress: Progress
    metrics: dict[str, Any] = Field(description="Latest value of each metric")
    result: dict[str, Any] | None = Field(description="Result, once the job has succeeded")
    spec: dict[str, Any] = Field(description="The resolved spec, every default filled in")
    error: JobError | None
    warnings: list[JobWarning] = Field(description="Reasons to doubt the result, from submission to the end; they change no state")
    artifacts: list[Artifact]
    metadata: dict[str, str]
    priority: int
    max_duration: float | None
    exports: list[str] = Field(description="Exports of the mask; measurements in the artifact exports.json")
    kind: JobKind = Field(description="Whether it prunes, or exports or evaluates the mask of another job")
    export_of: str | None = Field(description="The job whose mask this one exports; null for other kinds")
    evaluation_of: str | None = Field(description="The job whose mask this one evaluates; null for other kinds")
    evaluation: EvaluatedRows | None = Field(description="Rows that the mask is evaluated on; null for other kinds")
    cancel_requested_at: datetime | None = Field(description="A running job is cancelled seconds after this")
    pause_requested_at: datetime | None = Field(description="A running job is paused seconds after this")
    paused_until: datetime | None = Field(description="A paused job is cancelled then, unless it is resumed before")
    owner: str = Field(description="Owner of the job; `local` without API keys")
    retried_from: str | None = Field(description="The failed or cancelled job that this one retries")
    sweep_id: str | None = Field(description="The sweep of which it is one combination")
    webhook: Webhook | None = Field(description="Webhook for this job alone")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def from_row(
        cls,
        row: models.Job | Row[Any],
        artifacts: Sequence[models.Artifact | ArtifactView],
        webhook: models.Webhook | WebhookView | None,
        *,
        paused_days: float,
        root_path: str,
    ) -> Self:
        """The job from an entity, or from the parts of a ``service.jobs.views.JobView``; ``paused_days`` is the setting."""
        paused_until = row.updated_at + timedelta(days=paused_days) if row.status == Status.PAUSED else None
        return cls(
            id=row.id,
            status=row.status,
            phase=row.phase,
            attempt=row.attempt,
            progress=Progress(step=row.step, total_steps=row.total_steps, eta_seconds=row.eta_seconds),
            metrics=row.metrics,
            result=row.result,
            spec=row.spec,
            error=JobError.from_stored(row.error) if row.error else None,
            warnings=[JobWarning.model_validate(warning) for warning in row.warnings or ()],
            artifacts=[Artifact.from_row(artifact, root_path) for artifact in artifacts],
            metadata=row.user_metadata,
            priority=row.priority,
            max_duration=row.max_duration,
            exports=row.exports or [],
            kind=(kind := kind_of(row)),
            export_of=row.export_of if kind is JobKind.EXPORT else None,
            evaluation_of=row.export_of if kind is JobKind.EVALUATION else None,
            evaluation=EvaluatedRows.model_validate(row.evaluation) if row.evaluation is not None else None,
            retried_from=row.retried_from,
            sweep_id=row.sweep_id,
            cancel_requested_at=row.cancel_requested_at,
            pause_requested_at=row.pause_requested_at,
            paused_until=paused_until,
            owner=row.owner,
            webhook=Webhook.from_row(webhook) if webhook is not None else None,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class JobList(Page[Job]):
    """A page of jobs, newest first."""


class ArtifactList(Page[Artifact]):
    """All artifacts of a job."""
