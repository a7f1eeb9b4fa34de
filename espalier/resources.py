"""The service's answers as objects. Unknown fields are kept and allowed: an older client reads a newer service."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class Progress(_Resource):
    """Optimizer steps taken and to take; seconds still to go as the trainer estimates them."""

    step: int | None = None
    total_steps: int | None = None
    eta_seconds: float | None = None


class Problem(_Resource):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None
    kind: str | None = None
    retryable: bool | None = None


class Artifact(_Resource):
    """A file that a job made."""

    name: str
    bytes: int
    sha256: str
    url: str


class Event(_Resource):
    """Something that happened to a job; ``seq`` numbers them from 1 without gaps."""

    seq: int
    type: str
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None


class Job(_Resource):
    """A pruning job as the service last told it."""

    id: str
    status: str
    phase: str | None = None
    attempt: int = 0
    progress: Progress | None = None
    metrics: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    spec: dict[str, Any] = Field(default_factory=dict)
    error: Problem | None = None
    artifacts: list[Artifact] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    def artifact(self, name: str) -> Artifact | None:
        """The artifact of that name, if the job has made it."""
        return next((artifact for artifact in self.artifacts if artifact.name == name), None)


class JobPage(_Resource):
    """Part of a list of jobs; ``next_cursor`` is the ``after`` of the next part."""

    data: list[Job]
    has_more: bool = False
    next_cursor: str | None = None
