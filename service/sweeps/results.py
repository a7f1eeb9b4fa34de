"""Results of a sweep as a table: a row per combination, and per method and sparsity the mean over the seeds.

Pure functions over loaded jobs; called by ``api.schemas.sweeps`` and, for the figure, ``api.responses.sweep_plot``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from service.db.models import Job
from service.states import TERMINAL, Status
from service.sweeps.sweeps import Combination, Grid


@dataclass(frozen=True)
class Row:
    """One combination."""

    method: str
    sparsity: float
    """As requested."""
    seed: int
    job_id: str | None = None
    """None: the job was deleted."""
    status: Status | None = None
    metric: float | None = None
    """Metric of the final mask, as all further fields; None before the job has succeeded."""
    remaining: float | None = None
    """Share of the masked weights that is kept, as reached."""
    mask_bytes: int | None = None
    compact_mask_bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Mean:
    """One method at one sparsity, over the seeds whose jobs have succeeded; numbers are None while there are none."""

    method: str
    sparsity: float
    runs: int
    metric: float | None = None
    lowest: float | None = None
    highest: float | None = None
    remaining: float | None = None
    compact_mask_bytes: float | None = None


@dataclass(frozen=True)
class Table:
    """The results of a sweep so far."""

    metric: str | None
    """Name of the metric; None before a job has succeeded."""
    dense: float | None
    """The metric of the dense model, zero-shot, mean over the runs."""
    fine_tuned: float | None
    """The metric of the dense model, fine-tuned, mean over the runs that have a baseline."""
    rows: tuple[Row, ...]
    means: tuple[Mean, ...]


def build_table(grid: Grid, jobs: Mapping[Combination, Job]) -> Table:
    """Results from the latest job of each combination (``service.sweeps.sweeps.latest_jobs``)."""
    results = [job.result for job in jobs.values() if job.result is not None]
    metric = next((result["primary_metric"] for result in results if "primary_metric" in result), None)
    dense = [value for result in results if (value := _number(result, "before", metric)) is not None]
    tuned = [value for result in results if (value := _number(result.get("baseline") or {}, "metrics", metric)) is not None]
    rows = tuple(_row(combination, jobs.get(combination), metric) for combination in grid.combinations())
    means = tuple(_mean(*key, [*same]) for key, same in groupby(rows, lambda row: (row.method, row.sparsity)))
    return Table(metric, _average(dense), _average(tuned), rows, means)


def progress(grid: Grid, jobs: Mapping[Combination, Job]) -> float:
    """Share of the work that is done, 0 to 1: every combination counts the same, a deleted job's as done."""
    done = [1.0 if (job := jobs.get(combination)) is None else _done(job) for combination in grid.combinations()]
    return sum(done) / len(done)


def _done(job: Job) -> float:
    if job.status in TERMINAL:
        return 1.0
    return min(job.step / job.total_steps, 1.0) if job.total_steps else 0.0


def _row(combination: Combination, job: Job | None, metric: str | None) -> Row:
    if job is None:
        return Row(*combination)
    result = job.result or {}
    return Row(
        *combination,
        job_id=job.id,
        status=job.status,
        metric=_number(result, "final", metric),
        remaining=result.get("remaining"),
        mask_bytes=result.get("mask_bytes"),
        compact_mask_bytes=result.get("compact_mask_bytes"),
        seconds=result.get("seconds"),
    )


def _mean(method: str, sparsity: float, rows: list[Row]) -> Mean:
    metrics = [row.metric for row in rows if row.metric is not None]
    return Mean(
        method,
        sparsity,
        runs=len(metrics),
        metric=_average(metrics),
        lowest=min(metrics, default=None),
        highest=max(metrics, default=None),
        remaining=_average([row.remaining for row in rows if row.remaining is not None]),
        compact_mask_bytes=_average([row.compact_mask_bytes for row in rows if row.compact_mask_bytes is not None]),
    )


def _number(result: dict[str, Any], stage: str, metric: str | None) -> float | None:
    value = result.get(stage, {}).get(metric)
    return float(value) if isinstance(value, int | float) else None


def _average(values: list[float] | list[int]) -> float | None:
    return sum(values) / len(values) if values else None
