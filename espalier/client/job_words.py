"""Short texts about a job: task, main metric, phase, progress.

Pure functions of a :class:`espalier.client.job.Job`, which calls them for its ``repr`` and its display in notebooks; also called by
``progress.py`` and the command line. Loads neither httpx nor pydantic.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

_VALIDATION = "validation_"
"""Prefix of the names of metrics on the validation rows."""
_UPLOADED, _DATASET_LETTERS = re.compile("ds_[0-9a-f]{32}"), 9
"""Pattern of an uploaded data set's id, and the characters of it that are shown."""
_ID_LETTERS = 10
"""Characters of an id after its prefix: the time of a ULID, unique unless jobs were submitted in the same millisecond."""


class Progress(Protocol):
    """Fields of :class:`espalier.client.job.Progress` that are read here."""

    @property
    def step(self) -> int | None: ...
    @property
    def total_steps(self) -> int | None: ...
    @property
    def eta_seconds(self) -> float | None: ...


class Job(Protocol):
    """Fields of :class:`espalier.client.job.Job`, which imports this module, that are read here."""

    @property
    def status(self) -> str: ...
    @property
    def ended(self) -> bool: ...
    @property
    def phase(self) -> str | None: ...
    @property
    def progress(self) -> Progress | None: ...
    @property
    def metrics(self) -> Mapping[str, Any] | None: ...
    @property
    def result(self) -> Mapping[str, Any] | None: ...
    @property
    def spec(self) -> Mapping[str, Any]: ...


class MainMetric(NamedTuple):
    """The metric that names the result, of the dense model and of the pruned one; while a job runs, ``after`` is the latest."""

    name: str
    before: float | None
    after: float | None

    def __str__(self) -> str:
        numbers = " → ".join(f"{value:.3f}" for value in (self.before, self.after) if value is not None)
        return f"{self.name} {numbers}"


def short_id(job_id: str) -> str:
    """``job_01jd3xk5m8…``."""
    prefix, separator, rest = job_id.rpartition("_")
    return job_id if len(rest) <= _ID_LETTERS else f"{prefix}{separator}{rest[:_ID_LETTERS]}…"


def task_name(job: Job) -> str:
    """Name of the task; of a custom one the data set, or what is predicted from an uploaded one: ``topic (ds_7e639f)``."""
    task = job.spec.get("task", "")
    if not isinstance(task, Mapping):
        return task if isinstance(task, str) else "custom"
    dataset = str(task.get("dataset", "custom"))
    return f"{task.get('label')} ({dataset[:_DATASET_LETTERS]})" if _UPLOADED.fullmatch(dataset) else dataset


def evaluated_rows(evaluation: Mapping[str, Any] | None) -> str:
    """``split test of ds_7e639f, 100 rows``: which rows a mask is evaluated on."""
    given = evaluation or {}
    words = f"split {given['split']}" if given.get("split") is not None else "its validation rows"
    if (dataset := given.get("dataset")) is not None:
        words += f" of {dataset[:_DATASET_LETTERS] if _UPLOADED.fullmatch(dataset) else dataset}"
    if given.get("config") is not None:
        words += f" ({given['config']})"
    return words if given.get("rows") is None else f"{words}, the first {given['rows']:,} rows"


def measured(job: Job) -> str | None:
    """The task's metric among the numbers of a job: the one that names the result, or the first there is."""
    metrics = metrics_of(job)
    first = f"{_VALIDATION}{result_of(job).get('primary_metric')}"
    names = [name for name in (first, *metrics) if name.startswith(_VALIDATION)]
    return next((name for name in names if isinstance(metrics.get(name), float)), None)


def metric_name(job: Job) -> str:
    """Name of the metric that names the result, or of the latest; empty where none is known."""
    name = result_of(job).get("primary_metric") or measured(job) or ""
    return str(name).removeprefix(_VALIDATION)


def main_metric(job: Job) -> MainMetric | None:
    """The metric before and after, as far as measured; None: nothing was measured yet."""
    result = result_of(job)
    name = result.get("primary_metric")
    before, after = (_number((result.get(part) or {}).get(name)) for part in ("before", "final"))
    latest = measured(job)
    if after is None and latest is not None:
        after = _number(metrics_of(job)[latest])
    return None if before is None and after is None else MainMetric(metric_name(job), before, after)


def fine_tuned(job: Job) -> float | None:
    """The metric that names the result, of the dense model fine-tuned; None where the job has no baseline."""
    result = result_of(job)
    return _number(((result.get("baseline") or {}).get("metrics") or {}).get(result.get("primary_metric")))


def phase(job: Job) -> str:
    """Phase of a running job, else the job's state."""
    return job.phase if job.status == "running" and job.phase else job.status


def steps(job: Job) -> tuple[int, int | None]:
    """Optimizer steps taken, and to take where that is known."""
    return (0, None) if job.progress is None else (job.progress.step or 0, job.progress.total_steps)


def numbers(job: Job, between: str = "  ") -> str:
    """Loss, remaining weights, extra parameters, signal-to-noise, the task's metric and time to go, as far as known."""
    metrics = metrics_of(job)
    parts = []
    if (loss := metrics.get("loss")) is not None and not job.ended:
        parts.append(f"loss {loss:.3f}")
    if (remaining := metrics.get("remaining")) is not None:
        parts.append(f"remaining {remaining:.1%}")
    if (signal := metrics.get("signal_to_noise")) is not None and not job.ended:
        parts.append(f"signal/noise {signal:.3f}")
    result = result_of(job)
    if (kept := result.get("kept_step")) is not None and kept != result.get("steps"):
        parts.append(f"mask of step {kept:,}")
    if extra := result.get("extra_share"):
        parts.append(f"extra parameters {extra:.2%}")
    if (name := measured(job)) is not None:
        parts.append(f"{metric_name(job)} {metrics[name]:.3f}")
        if metrics.get("constant_prediction") is True:
            parts.append("(one prediction for all rows)")
    if job.phase == "baseline" and not job.ended and (step := metrics.get("baseline_step")) is not None:
        parts.append(f"baseline step {step:,} ({metrics.get('baseline_rows_per_second', 0):,.0f} rows/s)")
    eta = job.progress.eta_seconds if job.progress is not None else None
    if eta is not None and not job.ended:
        parts.append(f"ETA {clock(eta)}")
    return between.join(parts)


def clock(seconds: float) -> str:
    """``0:07``, ``1:05``, ``2:01:05``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def result_of(job: Job) -> Mapping[str, Any]:
    """The result; empty before there is one."""
    return {} if job.result is None else job.result


def metrics_of(job: Job) -> Mapping[str, Any]:
    """The latest value of each metric; empty before there are any."""
    return {} if job.metrics is None else job.metrics


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None
