"""Response body of a dry run: a job that was checked and estimated without being created."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas.jobs import JobWarning


class TimeEstimate(BaseModel):
    """Seconds from the start of the run to its end, a baseline included."""

    seconds: float
    rows_per_second: float
    basis: Literal["same_model_and_task", "same_model", "model_size"] = Field(
        description="Similarity of the runs that the estimate comes from: your own with the same model and task, or the same "
        "model; or any, scaled by the number of masked weights"
    )
    jobs: int = Field(description="Number of these runs; the estimate is their median")


class QueuePlace(BaseModel):
    """Queue position of the job if submitted now, in the whole service."""

    ahead: int = Field(description="Queued jobs that would be taken first")
    running: int
    workers: int = Field(description="Workers that are alive")
    slots: int = Field(description="Jobs that they run at a time")


class PatternShare(BaseModel):
    """Matrices of one pattern of ``sparsity_by``; the last entry, without a pattern, has the remaining matrices."""

    pattern: str | None
    sparsity: float = Field(description="Requested sparsity; for the remaining matrices the one that results")
    matrices: list[str] = Field(description="Paths, as the mask file names them")
    weights: int


class DryRun(BaseModel):
    """A job that was checked and not created."""

    dry_run: Literal[True] = True
    spec: dict[str, Any] = Field(description="The resolved spec, every default filled in")
    steps: int | None = Field(description="Optimizer steps; null where the data set's size is not known before the run")
    baseline_steps: int | None = Field(
        description="Optimizer steps of the dense model after those of the mask; 0 without a baseline"
    )
    rows_per_step: int
    rows: int | None = Field(description="Rows that all steps of the mask together see")
    train_rows: int | None = Field(description="Rows of the training split that they are drawn from")
    masked_weights: int | None = Field(description="null where the model is not known before the run")
    sparsity_by: list[PatternShare] | None = Field(
        description="Matrices of each pattern; empty without the field, null where the model is not yet known"
    )
    checks: list[str] = Field(description="The checked exports")
    estimate: TimeEstimate | None = Field(description="null without comparable finished runs")
    queue: QueuePlace
    warnings: list[JobWarning]
