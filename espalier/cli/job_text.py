"""Text of a job in a terminal: mark of the state, model, task, metric before → after, age, duration, what it does.

Called by the commands that list, show and follow jobs.
"""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from espalier.client import job_words
from espalier.client.job_words import clock as clock
from espalier.client.job_words import metric_name as metric_name
from espalier.client.job_words import task_name as task_name

if TYPE_CHECKING:
    from espalier.client.models import Job

MARKS = {
    "queued": ("○", "o", "yellow"),
    "running": ("●", "*", "cyan"),
    "paused": ("‖", "=", "yellow"),
    "succeeded": ("✓", "+", "green"),
    "failed": ("✗", "x", "red"),
    "cancelled": ("–", "-", "bright_black"),
}
"""State → its mark, the mark where the output has ASCII only, and its colour, one that light and dark terminals can show."""
_USUAL = "training"
"""The phase in which the share of steps is shown in place of its name."""
_MINUTES_FROM, _HOURS_FROM = 100, 100 * 60
"""Seconds from which a remaining time is shown in minutes, and in hours."""
_AGES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def symbol(character: str, ascii_form: str) -> str:
    """``character``, or ``ascii_form`` where standard output is not UTF-8."""
    return character if (sys.stdout.encoding or "").lower().replace("_", "-") in ("utf-8", "utf8") else ascii_form


def mark(status: str) -> str:
    """The mark of a state; a blank for one that a newer service has."""
    return symbol(*MARKS[status][:2]) if status in MARKS else " "


def colour(status: str) -> str:
    """The colour of a state."""
    return MARKS[status][2] if status in MARKS else "default"


def requested(job: "Job") -> str | None:
    """Open request (cancel or pause) of a running job."""
    if job.status != "running":
        return None
    if field(job, "cancel_requested_at") is not None:
        return "cancelling"
    return "pausing" if field(job, "pause_requested_at") is not None else None


def field(job: "Job", name: str) -> Any:
    """A field that older services do not send."""
    return getattr(job, name, None)


def metric(job: "Job") -> str:
    """``0.912 → 0.904``: metric of the dense model and of the pruned one; the latest alone while the job runs."""
    found = job_words.main_metric(job)
    numbers = [f"{value:.3f}" for value in (found.before, found.after) if value is not None] if found else []
    return f" {symbol('→', '->')} ".join(numbers)


def sparsity(job: "Job") -> str:
    """Share of masked weights removed, as it was reached, else as it was asked for."""
    reached = job_words.result_of(job).get("sparsity")
    value = job.spec.get("sparsity") if reached is None else reached
    return f"{100 * value:.3g} %" if isinstance(value, int | float) else ""


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in one unit: ``3 min``."""
    if moment is None:
        return ""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    unit, length = next(((unit, length) for unit, length in _AGES if seconds >= length), _AGES[-1])
    return f"{int(seconds // length)} {unit}"


def ran_for(job: "Job", now: datetime | None = None) -> str:
    """Duration from the first start to the end or to now: ``1:05``, ``2:01:05``."""
    if job.started_at is None:
        return ""
    end = job.finished_at or now or datetime.now(UTC)
    return clock((end - job.started_at).total_seconds())


def steps(job: "Job") -> str:
    """``40/300``; empty before the number of steps is known."""
    progress = job.progress
    return f"{progress.step or 0}/{progress.total_steps}" if progress is not None and progress.total_steps else ""


def percent_done(job: "Job") -> str:
    """``13 %`` of the steps; empty before their number is known."""
    progress = job.progress
    return f"{100 * (progress.step or 0) // progress.total_steps} %" if progress is not None and progress.total_steps else ""


def _left(job: "Job") -> str:
    """``40 s left``, ``64 min left``, ``3.5 h left``."""
    eta = job.progress.eta_seconds if job.progress is not None else None
    if eta is None:
        return ""
    if eta < _MINUTES_FROM:
        return f"{eta:.0f} s left"
    return f"{eta / 60:.0f} min left" if eta < _HOURS_FROM else f"{eta / 3600:.1f} h left"


def doing(job: "Job", waits: str = "") -> str:
    """Details of the state: progress of a run, what a queued job waits for, why one failed, how many warnings."""
    words = [waits] if job.status == "queued" else []
    if job.status == "running":
        phase = requested(job) or job.phase or "starting"
        words += [phase if phase != _USUAL or not percent_done(job) else "", percent_done(job), _left(job)]
    elif job.status == "paused":
        words += [percent_done(job)]
    if job.error is not None:
        words.append(job.error.code if job.status == "failed" else f"before: {job.error.code}")
    if job.warnings:
        words.append(f"{len(job.warnings)} warning{'s' if len(job.warnings) > 1 else ''}")
    return ", ".join(filter(None, words))
