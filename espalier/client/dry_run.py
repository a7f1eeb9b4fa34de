"""Response models of a dry run: steps, time, queue position, and matrices with their own sparsity."""

from typing import Any

from pydantic import Field

from espalier.client.job import JobWarning
from espalier.client.resource import Resource


class TimeEstimate(Resource):
    """Seconds that a run would take once it has begun, from finished runs."""

    seconds: float
    rows_per_second: float | None = None
    basis: str | None = None
    """``same_model_and_task``, ``same_model`` or ``model_size``."""
    jobs: int = 0


class QueuePlace(Resource):
    """Queue position of a job if it were submitted now."""

    ahead: int = 0
    running: int = 0
    workers: int = 0
    slots: int = 0


class PatternShare(Resource):
    """Matrices of one pattern of ``sparsity_by``; without a pattern: the remaining matrices."""

    pattern: str | None = None
    sparsity: float
    matrices: list[str] = Field(default_factory=list)
    weights: int = 0


class DryRun(Resource):
    """Result of a dry run; nothing was created. Values that are not known before the run are None."""

    spec: dict[str, Any] = Field(default_factory=dict)
    steps: int | None = None
    baseline_steps: int | None = 0
    """Steps of the dense model, after those of the mask."""
    rows_per_step: int | None = None
    rows: int | None = None
    """Rows that all steps together see."""
    train_rows: int | None = None
    masked_weights: int | None = None
    sparsity_by: list[PatternShare] | None = Field(default_factory=list)
    """Matrices with their own sparsity."""
    checks: list[str] = Field(default_factory=list)
    estimate: TimeEstimate | None = None
    queue: QueuePlace = Field(default_factory=QueuePlace)
    warnings: list[JobWarning] = Field(default_factory=list)
