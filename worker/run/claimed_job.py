"""Claimed job: the fields of a job's row that the worker needs once the claim is committed.

Made by ``worker.run.loop``; read by ``worker.run.supervisor`` and ``worker.run.preparation``.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from structlog.contextvars import bound_contextvars

from service.db.models import Job, kind_of
from service.jobs.fence import Fence
from service.states import JobKind
from service.tracing.interface import TraceContext


@dataclass(frozen=True)
class ClaimedJob:
    """One attempt of one job, which this worker runs."""

    fence: Fence
    owner: str
    spec: dict[str, Any]
    max_duration: float | None
    exports: tuple[str, ...]
    """Formats to export: of the mask that is trained, or of the one that exists already."""
    kind: JobKind
    mask_of: str | None
    """The job whose mask is exported or evaluated; None where the job prunes."""
    evaluation: dict[str, Any] | None
    """Rows that the mask is evaluated on."""
    reached_step: int
    """Steps that earlier attempts had completed."""
    claimed_at: float
    """``time.monotonic()`` before the claim."""
    devices: tuple[str, ...]
    """The worker's devices that are reserved for it until its supervision ends."""
    trace_context: TraceContext | None = None
    """Of the request that submitted it."""
    waited: tuple[datetime, datetime] | None = None
    """When it was queued and when it was claimed, by the database's clock; None where this process does not trace."""

    @classmethod
    def from_row(cls, job: Job, claimed_at: float, devices: Sequence[str], queued_at: datetime | None = None) -> Self:
        """The claimed job from the row that ``service.jobs.claims.claim`` returned."""
        return cls(
            fence=Fence.from_row(job),
            owner=job.owner,
            spec=job.spec,
            max_duration=job.max_duration,
            exports=tuple(job.exports or ()),
            kind=kind_of(job),
            mask_of=job.export_of,
            evaluation=job.evaluation,
            reached_step=job.step,
            claimed_at=claimed_at,
            devices=tuple(devices),
            trace_context=job.trace_context,
            waited=(queued_at, job.claimed_at) if queued_at is not None and job.claimed_at is not None else None,
        )

    def __str__(self) -> str:
        """What it is to do, for a log line."""
        if self.evaluation is not None:
            return f"evaluates the mask of {self.mask_of}"
        if self.mask_of is not None:
            return f"exports the mask of {self.mask_of} to {', '.join(self.exports)}"
        spec = self.spec
        task = spec.get("task")
        name = task.get("dataset") if isinstance(task, dict) else task
        return f"{spec.get('model')}, {name}, {spec.get('method')}, sparsity {spec.get('sparsity')}"

    def log_context(self) -> AbstractContextManager[None]:
        """Inside the block all log lines of this thread, and of threads that copy its context, name the job, attempt and owner."""
        return bound_contextvars(job_id=self.fence.job_id, attempt=self.fence.attempt, owner=self.owner)
