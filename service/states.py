"""Kinds and states of a job, and the table of legal transitions between states, of which ``service.jobs.transitions`` is the only
writer.
"""

from enum import StrEnum


class JobKind(StrEnum):
    """Kind of work of a job; all kinds are claimed, run, requeued, retried and deleted alike, and have the same states."""

    PRUNING = "pruning"
    """Trains a mask."""
    EXPORT = "export"
    """Exports the mask of another job into other formats."""
    EVALUATION = "evaluation"
    """Evaluates the mask of another job on some rows."""


class Status(StrEnum):
    QUEUED = "queued"
    """Waits for a worker; a claim ends it. ``not_before`` may delay the claim."""
    RUNNING = "running"
    """A worker holds a lease on it; only that worker writes, or the reaper once the lease has expired."""
    PAUSED = "paused"
    """Waits until its user resumes or cancels it; after ``paused_days`` the garbage collector cancels it."""
    SUCCEEDED = "succeeded"
    """Final; its mask, its exports or its evaluation is stored."""
    FAILED = "failed"
    """Final; ``error`` has the reason."""
    CANCELLED = "cancelled"
    """Final; its user requested it, or left it paused for too long."""


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.PAUSED, Status.CANCELLED}),
    Status.RUNNING: frozenset(
        {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.QUEUED, Status.PAUSED}
    ),  # to queued: worker lost or shut down, or a temporary failure
    Status.PAUSED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}

TERMINAL = frozenset(status for status, onward in TRANSITIONS.items() if not onward)


def sources(target: Status) -> frozenset[Status]:
    """The states from which a job may change to ``target``."""
    return frozenset(status for status, onward in TRANSITIONS.items() if target in onward)
