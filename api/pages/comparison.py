"""Comparison of jobs: differing fields, one row per job, and the panels of their sparsity-metric figure.

Called by ``api.pages.compare`` and ``api.pages.sweeps``. Only jobs that are equal except for their seed are averaged; jobs that
differ in more than sparsity have separate lines, named by the method and the differing fields.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from api.pages.job_summary import task_name
from api.responses.sweep_plot import Caption, Line, Panel
from api.schemas.jobs import Job
from service.states import TERMINAL
from service.sweeps.results import Mean

_WITHIN = ("model", "task", "method")
"""Fields by which jobs are grouped: a row lists the other fields in which it differs from the rows of its group."""
_LABEL_LENGTH = 48
"""Characters of a line's name in the legend, which would cover points if longer."""


@dataclass(frozen=True)
class Row:
    """One job; None: it was deleted, and its sweep has its combination."""

    job: Job | None
    method: str
    asked: float | None
    """Sparsity."""
    differing: Sequence[tuple[str, str]]
    """Fields of the spec that differ among the jobs of this model, task and method, with their values here."""

    @property
    def reached(self) -> float | None:
        """Sparsity of the final mask."""
        result = (self.job.result if self.job is not None else None) or {}
        remaining = result.get("remaining")
        return result.get("sparsity", None if remaining is None else 1.0 - remaining)


@dataclass(frozen=True)
class Comparison:
    """Comparison of several jobs on a page."""

    rows: Sequence[Row]

    @property
    def is_live(self) -> bool:
        """Whether any job has not ended."""
        return any(row.job is not None and row.job.status not in TERMINAL for row in self.rows)

    @property
    def ended(self) -> int:
        return sum(row.job is None or row.job.status in TERMINAL for row in self.rows)

    @property
    def version(self) -> str:
        """Changes when the figure does: part of its address, so that a browser asks for it then and only then."""
        states = [(row.job.id, row.job.status) if row.job is not None else None for row in self.rows]
        return hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]


def compare(jobs: Iterable[Job]) -> Comparison:
    """Rows in the order of the jobs."""
    compared = [*jobs]
    differing = _differing(compared, within=_WITHIN)
    return Comparison(
        [Row(job, job.spec["method"], job.spec.get("sparsity"), _values(job, differing[_key(job, _WITHIN)])) for job in compared]
    )


def panels(jobs: Sequence[Job]) -> tuple[Panel, ...]:
    """One for each task and metric, in the order of their first jobs; of jobs that have no metric yet by their task alone."""
    metrics = {task_name(job.spec): name for job in jobs if (name := (job.result or {}).get("primary_metric"))}
    found: dict[tuple[str, str | None], list[Job]] = {}
    for job in jobs:
        task = task_name(job.spec)
        found.setdefault((task, (job.result or {}).get("primary_metric") or metrics.get(task)), []).append(job)
    return tuple(_panel(task, metric, of_task) for (task, metric), of_task in found.items())


def _panel(task: str, metric: str | None, jobs: Sequence[Job]) -> Panel:
    models = {job.spec["model"] for job in jobs}
    before = [value for job in jobs if (value := _number(job, "before", metric)) is not None]
    tuned = [value for job in jobs if (value := _baseline(job, metric)) is not None]
    dense = sum(before) / len(before) if before and len(models) == 1 else None
    fine_tuned = sum(tuned) / len(tuned) if tuned and len(models) == 1 else None
    ended = sum(job.status in TERMINAL for job in jobs)
    title = f"{next(iter(models))} · {task}" if len(models) == 1 else task
    note = f"{ended} of {len(jobs)} jobs ended"
    return Panel(Caption(title, note, None), metric, dense, tuple(_lines(jobs, metric)), fine_tuned)


def _lines(jobs: Sequence[Job], metric: str | None) -> Iterable[Line]:
    differing = _differing(jobs, within=("method",), outside=("sparsity", "seed", "model"))
    models = ["model"] if len({job.spec["model"] for job in jobs}) > 1 else []
    fixed = dict.fromkeys(name for job in jobs for name in job.spec if name not in ("sparsity", "seed"))
    keyed = sorted(((_key(job, fixed), job) for job in jobs), key=lambda pair: pair[0])
    lines = [[job for _, job in same] for _, same in groupby(keyed, key=lambda pair: pair[0])]
    order = {job.id: number for number, job in enumerate(jobs)}
    for line in sorted(lines, key=lambda line: min(order[job.id] for job in line)):
        method = line[0].spec["method"]
        values = "".join(f", {name} {value}" for name, value in _values(line[0], [*models, *differing[_key(line[0], ("method",))]]))
        label = f"{method}{values}"
        yield Line(label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…", method, (*_means(line, metric),))


def _means(line: Sequence[Job], metric: str | None) -> Iterable[Mean]:
    """Means over the seeds, for each sparsity."""
    in_order = sorted(line, key=lambda job: job.spec.get("sparsity") or 0.0)
    for sparsity, same in groupby(in_order, key=lambda job: job.spec.get("sparsity") or 0.0):
        results = [(job, value) for job in same if (value := _number(job, "final", metric)) is not None]
        values = [value for _, value in results]
        kept = [1.0 - reached for job, _ in results if (reached := Row(job, "", None, ()).reached) is not None]
        yield Mean(
            line[0].spec["method"],
            sparsity,
            len(values),
            metric=sum(values) / len(values) if values else None,
            lowest=min(values, default=None),
            highest=max(values, default=None),
            remaining=sum(kept) / len(kept) if kept else None,
        )


def _differing(jobs: Sequence[Job], *, within: Sequence[str], outside: Iterable[str] = ("sparsity",)) -> Mapping[str, list[str]]:
    """Names of the differing fields, by the key of the common ones."""
    ignored = {*outside, *within}
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(_key(job, within), []).append(job)
    return {
        key: [
            name
            for name in dict.fromkeys(name for job in same for name in job.spec)
            if name not in ignored and len({_text(job.spec.get(name)) for job in same}) > 1
        ]
        for key, same in groups.items()
    }


def _values(job: Job, names: Sequence[str]) -> Sequence[tuple[str, str]]:
    return [(name, _text(job.spec.get(name))) for name in names]


def _key(job: Job, names: Iterable[str]) -> str:
    return json.dumps({name: job.spec.get(name) for name in names}, sort_keys=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _number(job: Job, stage: str, metric: str | None) -> float | None:
    value = ((job.result or {}).get(stage) or {}).get(metric)
    return float(value) if isinstance(value, int | float) else None


def _baseline(job: Job, metric: str | None) -> float | None:
    """The metric of the dense model, fine-tuned; None where the job has none."""
    value = (((job.result or {}).get("baseline") or {}).get("metrics") or {}).get(metric)
    return float(value) if isinstance(value, int | float) else None
