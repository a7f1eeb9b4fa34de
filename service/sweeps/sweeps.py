"""Sweeps: submit, list, cancel and delete a grid of jobs as one.

Called by the API inside its transactions; never commits. A sweep has no state of its own: everything follows from its jobs.
``owner`` is the owner whose sweeps the caller may see, as in ``service.jobs.commands``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from service.db.models import LOCAL, Job, Sweep
from service.db.paging import encode_cursor, rows_after
from service.errors import SweepNotEndedError, SweepNotFoundError
from service.jobs import commands
from service.states import TERMINAL, Status
from service.tracing import spans

Combination = tuple[str, float, int]
"""Method, sparsity, seed: the fields of the spec that a sweep varies."""


@dataclass(frozen=True)
class Grid:
    """Methods × sparsities × seeds, in the order they were given."""

    methods: tuple[str, ...]
    sparsities: tuple[float, ...]
    seeds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.methods) * len(self.sparsities) * len(self.seeds)

    def combinations(self) -> list[Combination]:
        """All combinations; seeds vary fastest."""
        return [(method, sparsity, seed) for method in self.methods for sparsity in self.sparsities for seed in self.seeds]

    @classmethod
    def from_row(cls, sweep: Sweep) -> "Grid":
        """The grid of a stored sweep."""
        return cls(*(tuple(sweep.grid[axis]) for axis in ("methods", "sparsities", "seeds")))


def create(
    session: Session,
    *,
    grid: Grid,
    base: dict[str, Any],
    jobs: Sequence[dict[str, Any]],
    owner: str = LOCAL,
    metadata: dict[str, Any] | None = None,
    baseline: float | None = None,
) -> tuple[Sweep, list[Job]]:
    """Add a sweep and a queued job for each of ``jobs``: the arguments of ``service.jobs.commands.create``, in the grid's order."""
    axes = {"methods": [*grid.methods], "sparsities": [*grid.sparsities], "seeds": [*grid.seeds]}
    sweep = Sweep(owner=owner, grid=axes, base=base, user_metadata=metadata or {}, baseline=baseline)
    session.add(sweep)
    session.flush()
    created = []
    for fields in jobs:
        with spans.new_trace(
            "job.submitted", {"espalier.sweep.id": sweep.id}
        ) as span:  # a trace of all would have thousands of spans
            created.append(commands.create(session, owner=owner, sweep_id=sweep.id, **fields))
            span.set({"espalier.job.id": created[-1].id})
    return sweep, created


def get(session: Session, sweep_id: str, *, owner: str | None = None) -> Sweep:
    """The sweep. Raises SweepNotFoundError."""
    sweep = session.get(Sweep, sweep_id)
    if sweep is None or owner not in (None, sweep.owner):
        raise SweepNotFoundError(sweep_id)
    return sweep


def page(session: Session, *, limit: int, after: str | None = None, owner: str | None = None) -> tuple[list[Sweep], str | None]:
    """Newest first: at most ``limit`` sweeps and the cursor of the next page, None on the last. Raises InvalidCursorError."""
    statement = select(Sweep).order_by(Sweep.created_at.desc(), Sweep.id.desc()).limit(limit + 1)
    if owner is not None:
        statement = statement.where(Sweep.owner == owner)
    if after is not None:
        statement = statement.where(rows_after(after, "swp_", Sweep.created_at, Sweep.id))
    rows = list(session.scalars(statement))
    return rows[:limit], encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None


def latest_jobs(session: Session, sweeps: Sequence[Sweep]) -> dict[str, dict[Combination, Job]]:
    """The newest job of each combination, by sweep: the original, or its latest retry."""
    statement = select(Job).where(Job.sweep_id.in_([sweep.id for sweep in sweeps])).order_by(Job.created_at, Job.id)
    found: dict[str, dict[Combination, Job]] = {sweep.id: {} for sweep in sweeps}
    for job in session.scalars(statement):
        assert job.sweep_id is not None  # noqa: S101 - the query says so
        found[job.sweep_id][combination_of(job)] = job
    return found


def combination_of(job: Job) -> Combination:
    """The combination of a sweep's job."""
    return job.spec["method"], job.spec["sparsity"], job.spec["seed"]


def cancel(session: Session, sweep_id: str, *, owner: str | None = None) -> Sweep:
    """Cancel every job that has not ended, as ``service.jobs.commands.request_cancel`` does. Raises SweepNotFoundError."""
    sweep = get(session, sweep_id, owner=owner)
    for job in _lock_jobs(session, sweep_id):
        if job.status not in TERMINAL:
            commands.request_cancel(session, job.id)
    return sweep


def delete(session: Session, sweep_id: str, *, owner: str | None = None) -> None:
    """Remove a sweep with its jobs and all their data. Raises SweepNotFoundError, or SweepNotEndedError while a job is not."""
    for job in require_deletable(session, sweep_id, owner=owner):
        commands.delete(session, job.id)
    session.execute(sql_delete(Sweep).where(Sweep.id == sweep_id))


def require_deletable(session: Session, sweep_id: str, *, owner: str | None = None) -> Sequence[Job]:
    """Lock the jobs of a sweep that is to be deleted. Raises as ``delete``."""
    sweep = get(session, sweep_id, owner=owner)
    jobs = _lock_jobs(session, sweep_id)
    # after the locks: a retry holds its job's row until the new job exists
    if session.scalar(select(exists().where(Job.sweep_id == sweep_id, Job.status.not_in(sorted(TERMINAL))))):
        raise SweepNotEndedError(sweep.id)
    return jobs


def count_by_status(jobs: Sequence[Job]) -> dict[Status, int]:
    """Number of ``jobs`` in each state."""
    return {status: sum(job.status is status for job in jobs) for status in Status}


def _lock_jobs(session: Session, sweep_id: str) -> Sequence[Job]:
    """The jobs of a sweep, their rows locked until the transaction ends; always in the order of ids, which avoids deadlocks."""
    statement = select(Job).where(Job.sweep_id == sweep_id).order_by(Job.id).with_for_update(key_share=True)
    return session.scalars(statement, execution_options={"populate_existing": True}).all()
