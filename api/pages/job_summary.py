"""Short texts about a job on pages: task, main metric before and after, sparsity, open requests.

Filters of the templates, registered by ``api.pages.rendering``; all of them take an ``api.schemas.jobs.Job`` or its spec.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from api.schemas.jobs import Job
from service.states import TERMINAL

_VALIDATION = "validation_"
"""Prefix of validation metrics while a job runs."""


@dataclass(frozen=True)
class MainMetric:
    """The metric that names the result; ``after`` is None before there is one."""

    name: str
    before: float | None
    """Metric of the dense model, zero-shot."""
    after: float | None
    note: str = ""
    """Whether ``after`` is provisional: the latest evaluation of a job that has not succeeded."""
    fine_tuned: float | None = None
    """Metric of the dense model, fine-tuned; None where the job has no baseline."""


def main_metric(job: Job) -> MainMetric | None:
    """The main metric of the result; of a job without one the latest validation metric; None: no metric is known."""
    result = job.result or {}
    name = result.get("primary_metric")
    if name is not None:
        before, final = result.get("before") or {}, result.get("final") or {}
        tuned = (result.get("baseline") or {}).get("metrics") or {}
        return MainMetric(name.replace("_", " "), before.get(name), final.get(name), fine_tuned=tuned.get(name))
    latest = next((name for name in job.metrics if name.startswith(_VALIDATION)), None)
    if latest is None:
        return None
    note = "when it ended" if job.status in TERMINAL else "so far"
    return MainMetric(latest.removeprefix(_VALIDATION).replace("_", " "), None, job.metrics[latest], note)


def sparsity(job: Job) -> float | None:
    """Sparsity as reached, else as requested; None where the method determines it."""
    reached: float | None = (job.result or {}).get("sparsity")
    return job.spec.get("sparsity") if reached is None else reached


def task_name(spec: dict[str, Any]) -> str:
    """Name of the task, or the data set of a custom one."""
    task = spec.get("task")
    return str(task.get("dataset")) if isinstance(task, dict) else str(task)


def evaluated_rows(job: Job) -> str:
    """Which rows a job that evaluates a mask reads: ``split test of reviews, the first 100 rows``."""
    if job.evaluation is None:
        return ""
    given = job.evaluation
    words = "the validation rows" if given.split is None else f"split {given.split}"
    words += f" of {given.dataset}" if given.dataset is not None else ""
    words += f" ({given.config})" if given.config is not None else ""
    return words if given.rows is None else f"{words}, the first {given.rows:,} rows"


def asked(job: Job) -> str | None:
    """Open request (cancel or pause) of a running job."""
    if job.status != "running":
        return None
    if job.cancel_requested_at is not None:
        return "cancelling"
    return "pausing" if job.pause_requested_at is not None else None


def state_counts(jobs: Iterable[Job]) -> str:
    """``1 running, 3 queued``: a line that changes when a job's state does."""
    counts = Counter(job.status.value for job in jobs)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


FILTERS = {
    "main_metric": main_metric,
    "sparsity": sparsity,
    "task_name": task_name,
    "asked": asked,
    "evaluated_rows": evaluated_rows,
    "state_counts": state_counts,
}
