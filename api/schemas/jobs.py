"""The bodies that go in and out. Rows become answers here, by the ``of`` of each class, while their session is open."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Row

from api.schemas.strict import StrictModel
from api.schemas.webhooks import JobWebhookRequest, Webhook
from pruning.spec.errors import spec_error
from pruning.spec.export_formats import FORMATS, Format, unsupported_by_pattern
from pruning.spec.schema import PruningSpec
from service.db import models
from service.jobs.views import ArtifactView, WebhookView
from service.states import Status

Key = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Value = Annotated[str, StringConstraints(max_length=512)]


class JobRequest(StrictModel, PruningSpec):
    """A pruning spec, with what concerns the job and not its result beside it. Only model and task are required."""

    model_config = ConfigDict(
        allow_inf_nan=False,  # Python's JSON reader takes NaN and Infinity; no database does
        json_schema_extra={
            "examples": [
                {"model": "google-bert/bert-base-uncased", "task": "sst2"},
                {
                    "model": "bert-base-uncased", "task": "mrpc", "method": "smp-l", "sparsity": 0.97, "seed": 1,
                    "metadata": {"experiment": "table-2"}, "priority": 10, "max_duration": 7200,
                    "webhook": {
                        "url": "https://example.com/espalier", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                    },
                },
                {
                    "model": "roberta-base",
                    "task": {"dataset": "tickets", "text": ["body"], "label": "queue", "label_words": ["hard", "soft"]},
                },
            ]
        },
    )  # fmt: skip

    metadata: dict[Key, Value] = Field(
        default_factory=dict, max_length=16, description="Your own key-value pairs; shown back, never read"
    )
    priority: int = Field(0, ge=-100, le=100, description="Queued jobs with a higher one start first")
    max_duration: float | None = Field(
        None,
        gt=0,
        le=366 * 86400,
        description="Seconds that one run may take before it is ended; default the service's",
    )
    exports: tuple[Format, ...] = Field(
        (),
        max_length=len(FORMATS),
        description="What the mask is turned into at the end, each measured before and after",
    )

    webhook: JobWebhookRequest | None = Field(None, description="Who is told of this job, beside your other webhooks")

    @model_validator(mode="after")
    def _storable(self) -> Self:
        if "\\u0000" in self.model_dump_json():
            raise PydanticCustomError("nul_character", "text must not contain NUL characters")
        return self

    @model_validator(mode="after")
    def _exportable(self) -> Self:
        misfit = unsupported_by_pattern(self.exports, self.pattern)
        if misfit is not None:
            raise spec_error(f"exports.{misfit.index}", "{reason}", reason=misfit.message)
        if len(set(self.exports)) < len(self.exports):
            raise spec_error("exports", "each export is made once; name none of them twice")
        return self

    @property
    def spec(self) -> PruningSpec:
        """The resolved spec alone, as it is stored and given to the trainer."""
        return PruningSpec(**self.model_dump(include=set(PruningSpec.model_fields)))

    @property
    def stored(self) -> dict[str, Any]:
        """What is remembered of it: arguments of ``service.jobs.commands.create``."""
        return {
            "spec": self.spec.model_dump(mode="json"), "metadata": self.metadata, "priority": self.priority,
            "max_duration": self.max_duration, "exports": self.exports,
        }  # fmt: skip


class Progress(BaseModel):
    """How far the run is."""

    step: int = Field(description="Optimizer steps completed")
    total_steps: int | None
    eta_seconds: float | None = Field(description="Estimated seconds until training ends")


class JobError(BaseModel):
    """Why the job failed; on a queued job, why its last run did not finish."""

    code: str = Field(description="Stable identifier")
    message: str
    param: str | None = Field(None, description="Field of the spec to change")
    kind: Literal["user", "system"] = Field(description="user: the spec must change; system: it need not")
    retryable: bool = Field(description="Whether the same job may succeed later")


class Artifact(BaseModel):
    """A file that the job made."""

    name: str
    media_type: str
    bytes: int
    sha256: str = Field(description="Hexadecimal digest of the whole file")
    url: str = Field(description="Where to download it, relative to the service")

    @classmethod
    def from_row(cls, row: models.Artifact | ArtifactView) -> Self:
        return cls(
            name=row.name, media_type=row.media_type, bytes=row.size, sha256=row.sha256,
            url=f"/v1/jobs/{row.job_id}/artifacts/{row.name}",
        )  # fmt: skip


class Job(BaseModel):
    """A pruning job."""

    id: str = Field(examples=["job_01jd3xk5m8v6q2zr9w4t7y1n0b"])
    status: Status
    phase: str | None = Field(description="What the run is doing, e.g. training")
    attempt: int = Field(description="Runs begun")
    progress: Progress
    metrics: dict[str, Any] = Field(description="Latest value of each metric")
    result: dict[str, Any] | None = Field(description="What came out, once the job has succeeded")
    spec: dict[str, Any] = Field(description="The resolved spec, every default filled in")
    error: JobError | None
    artifacts: list[Artifact]
    metadata: dict[str, str]
    priority: int
    max_duration: float | None
    exports: list[str] = Field(description="What the mask is turned into; figures in the artifact exports.json")
    export_of: str | None = Field(description="The job whose mask this one exports; null for a job that prunes")
    cancel_requested_at: datetime | None = Field(description="A running job is cancelled seconds after this")
    pause_requested_at: datetime | None = Field(description="A running job is paused seconds after this")
    owner: str = Field(description="Who submitted it; `local` without API keys")
    retried_from: str | None = Field(description="The job that failed or was cancelled and that this one does again")
    sweep_id: str | None = Field(description="The sweep that it is one combination of")
    webhook: Webhook | None = Field(description="Who is told of this job alone")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def from_row(
        cls,
        row: models.Job | Row[Any],
        artifacts: Sequence[models.Artifact | ArtifactView],
        webhook: models.Webhook | WebhookView | None,
    ) -> Self:
        """Of an entity, or of the parts of a ``service.jobs.views.JobView``."""
        return cls(
            id=row.id, status=row.status, phase=row.phase, attempt=row.attempt,
            progress=Progress(step=row.step, total_steps=row.total_steps, eta_seconds=row.eta_seconds),
            metrics=row.metrics,
            result=row.result,
            spec=row.spec,
            error=JobError.model_validate(row.error) if row.error else None,
            artifacts=[Artifact.from_row(artifact) for artifact in artifacts],
            metadata=row.user_metadata,
            priority=row.priority,
            max_duration=row.max_duration,
            exports=row.exports or [],
            export_of=row.export_of, retried_from=row.retried_from, sweep_id=row.sweep_id,
            cancel_requested_at=row.cancel_requested_at, pause_requested_at=row.pause_requested_at,
            owner=row.owner,
            webhook=Webhook.from_row(webhook) if webhook is not None else None,
            created_at=row.created_at, started_at=row.started_at, finished_at=row.finished_at,
        )  # fmt: skip


class Event(BaseModel):
    """Something that happened to a job."""

    seq: int = Field(description="1, 2, 3, ... within the job, without gaps")
    attempt: int
    type: str
    data: dict[str, Any]
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        return cls(seq=row.seq, attempt=row.attempt, type=row.type, data=row.data, created_at=row.created_at)


class MetricRow(BaseModel):
    """The numbers of one step."""

    step: int
    attempt: int = Field(description="The run that reported them")
    values: dict[str, Any]


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Part of a list."""

    data: list[T]
    has_more: bool
    next_cursor: str | None = Field(description="Pass as `after` to get the next page; null on the last one")


class JobList(Page[Job]):
    """A page of jobs, newest first."""


class EventList(Page[Event]):
    """A page of events, oldest first."""


class ArtifactList(Page[Artifact]):
    """All artifacts of a job."""


class MetricList(Page[MetricRow]):
    """All steps of a job that reported numbers, in order."""


class Task(BaseModel):
    """A task known by name, with its defaults."""

    name: str
    kind: str
    dataset: str
    config: str | None
    text: list[str] = Field(description="Columns that are read")
    label: str
    label_words: list[str] = Field(description="Word of each class, in class-id order")
    labels: list[str] | None = Field(description="Name of each class; null where there are none")
    metrics: list[str] = Field(description="The first one names the result")
    epochs: float
    batch_size: int
    max_length: int
    local: bool = Field(description="Whether the data lies in this service's data sets directory")


class TaskList(Page[Task]):
    """The tasks known by name."""

    custom_task_schema: dict[str, Any] = Field(description="JSON Schema of a task on your own data")


class Method(BaseModel):
    """A way to make masks."""

    name: str
    summary: str
    trains: Literal["scores", "weights", "scores and weights", "nothing"] = Field(
        description="Weights that are trained are stored beside the mask"
    )
    sparsity: Literal["asked", "emerges"] = Field(
        description="Whether the sparsity asked for is the one that is reached"
    )
    two_four: bool = Field(description="Whether pattern 2:4 is possible")
    learning_rate: float = Field(description="Default, of the scores")
    regularization: float = Field(description="Default λ")
    default: bool


class MethodList(Page[Method]):
    """The methods, and the schema of the spec that all of them share."""

    spec_schema: dict[str, Any] = Field(description="JSON Schema of the body of POST /v1/jobs")


class Checks(BaseModel):
    """What a job needs."""

    database: Literal["ok"]
    broker: Literal["ok", "degraded"] = Field(description="degraded: jobs start some seconds later")
    workers: int = Field(description="Workers heard of lately")


class Readiness(BaseModel):
    """A job would run."""

    status: Literal["ready"] = "ready"
    checks: Checks


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"
