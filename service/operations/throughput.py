"""Run time estimates from the measured rates of runs that have succeeded.

Called by the API for a dry run. Rates of workers that are alive come first; a service whose workers have just been restarted falls
back on those of the former ones. Model and task are compared only among the owner's own jobs, so that nothing about other owners'
jobs is revealed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from service.db.models import Job
from service.jobs import heartbeats
from service.states import Status

_LOOKED_AT = 200
"""Newest jobs that are considered."""
_USED = 5
"""Newest similar jobs of which the median is taken."""
_BASELINE_FACTOR = 1.8
"""Time of a row in full fine-tuning over that of a row in the training of a mask, where no run has measured it: as measured on a
MiniLM of six layers with 8 rows a step, on one core. It is less with more rows a step, which share the optimizer's work on all
weights."""
Basis = Literal["same_model_and_task", "same_model", "model_size"]


@dataclass(frozen=True)
class Planned:
    """A run that is to be estimated."""

    owner: str
    spec: dict[str, Any]
    rows: int
    """Rows that all steps together see."""
    masked_weights: int | None
    baseline_rows: int = 0
    """Rows that a baseline sees after that."""


@dataclass(frozen=True)
class Estimate:
    """Seconds that a run would take once it has begun."""

    seconds: float
    rows_per_second: float
    basis: Basis
    jobs: int
    """Runs whose rates it is the median of."""


@dataclass(frozen=True)
class _Measured:
    rows_per_second: float
    overhead_seconds: float
    """Seconds of the run beyond its rows at that rate: loading, evaluations, artifacts."""
    masked_weights: int | None
    baseline_rows_per_second: float | None = None


def estimate(session: Session, planned: Planned, *, worker_seen_seconds: float) -> Estimate | None:
    """Estimate of a run; None where no run has succeeded yet, or the size of the planned model is not known."""
    live = {worker.id for worker in heartbeats.live_workers(session, within_seconds=worker_seen_seconds)}
    columns = (Job.owner, Job.worker_id, Job.spec, Job.metrics, Job.result)
    newest = select(*columns).where(Job.status == Status.SUCCEEDED, Job.export_of.is_(None))
    rows = session.execute(newest.order_by(Job.finished_at.desc()).limit(_LOOKED_AT)).all()
    alive = [row for row in rows if row.worker_id in live]
    return _from_rows(alive, planned) or _from_rows(rows, planned)


def _from_rows(rows: Sequence[Row[Any]], planned: Planned) -> Estimate | None:
    own = [row for row in rows if row.owner == planned.owner and row.spec.get("model") == planned.spec["model"]]
    same = [row for row in own if _costs(row.spec) == _costs(planned.spec)]
    alike: tuple[tuple[Basis, list[_Measured]], ...] = (
        ("same_model_and_task", _measured(same)),
        ("same_model", _measured(own)),
        ("model_size", _scaled(_measured(rows), planned.masked_weights)),
    )
    for basis, found in alike:
        if found:
            used = found[:_USED]
            rate = median(run.rows_per_second for run in used)
            seconds = planned.rows / rate + median(run.overhead_seconds for run in used)
            if planned.baseline_rows:
                measured = [run.baseline_rows_per_second for run in found if run.baseline_rows_per_second]
                seconds += planned.baseline_rows / (median(measured[:_USED]) if measured else rate / _BASELINE_FACTOR)
            return Estimate(round(seconds, 1), round(rate, 3), basis, len(used))
    return None


def _costs(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the time of a row of a model depends on: length of rows, arithmetic, passes through a teacher and the dense model."""
    return *map(spec.get, ("task", "max_length", "precision", "devices", "teacher")), bool(spec.get("distill_states"))


def _measured(rows: Sequence[Row[Any]]) -> list[_Measured]:
    found = []
    for row in rows:
        rate, result = row.metrics.get("rows_per_second"), row.result or {}
        seconds, steps = result.get("seconds"), result.get("steps")
        if not all(isinstance(value, int | float) and value > 0 for value in (rate, seconds, steps)):
            continue  # a method without steps, or a result of an earlier version
        trained = steps * row.spec.get("batch_size", 1) * row.spec.get("gradient_accumulation", 1)
        baseline = (result.get("baseline") or {}).get("rows_per_second")
        found.append(_Measured(rate, max(seconds - trained / rate, 0.0), result.get("masked_weights"), baseline))
    return found


def _scaled(runs: Sequence[_Measured], masked_weights: int | None) -> list[_Measured]:
    """The rates scaled to a model of ``masked_weights``: a row costs in proportion to them."""
    if not masked_weights:
        return []
    return [
        _Measured(
            run.rows_per_second * run.masked_weights / masked_weights,
            run.overhead_seconds,
            masked_weights,
            run.baseline_rows_per_second and run.baseline_rows_per_second * run.masked_weights / masked_weights,
        )
        for run in runs
        if run.masked_weights
    ]
