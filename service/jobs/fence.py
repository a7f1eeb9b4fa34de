"""Fencing token of a running job: the right of one attempt to write.

Every write about a running job carries a fence, so that a worker which lost its lease cannot change what the next attempt
does. Made from a claimed row; taken by ``service.jobs.claims``, ``service.artifacts.store`` and everything in ``worker.run``.
"""

from dataclasses import dataclass
from typing import Self, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from service.db.models import Job
from service.errors import LeaseLostError
from service.jobs.transitions import lock_row
from service.states import Status

T = TypeVar("T")


@dataclass(frozen=True)
class Fence:
    """Attempt ``attempt`` of job ``job_id``."""

    job_id: str
    attempt: int

    @classmethod
    def from_row(cls, job: Job) -> Self:
        """Fence of the attempt that runs ``job`` now."""
        return cls(job.id, job.attempt)

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """Condition on ``Job``: true only while this attempt runs the job."""
        return Job.id == self.job_id, Job.attempt == self.attempt, Job.status == Status.RUNNING

    def require(self, row: T | None) -> T:
        """``row``, which a statement guarded by ``where`` returned. Raises LeaseLostError if that matched nothing."""
        if row is None:
            raise self.lost()
        return row

    def lost(self) -> LeaseLostError:
        """The error of a write that came too late."""
        return LeaseLostError(self.job_id, self.attempt)

    def lock(self, session: Session) -> Job:
        """The job's row, locked: the job stays this attempt's until the transaction ends. Raises LeaseLostError."""
        return self.require(lock_row(session, *self.where()))
