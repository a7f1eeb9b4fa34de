"""How much may be stored. Checked when a job is submitted, and when an artifact or a data set is about to be stored.

What counts is announced sizes, also of files that are still being written; submissions and files at the very same moment may
overshoot by as many.
"""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.models import Artifact, Dataset, Job
from service.errors import QuotaExceededError
from service.settings import Settings

_REMEDY = "delete finished jobs or data sets that are no longer needed"


@dataclass(frozen=True)
class Quota:
    """Bytes; None: no limit."""

    total: int | None = None
    per_owner: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the service is set up."""
        return cls(settings.max_stored_bytes, settings.max_stored_bytes_per_owner)


def check_submission(session: Session, quota: Quota, owner: str) -> None:
    """Whether ``owner`` may store anything more. Raises QuotaExceededError."""
    _within(session, quota, owner, spare=1, what="Nothing more can be stored")


def check_artifact(session: Session, quota: Quota, artifact: Artifact) -> None:
    """Whether a new artifact, which is a row of this transaction, fits in. Raises QuotaExceededError.

    A complete one of the same name does not count: it is going to be replaced.
    """
    same_name = (Artifact.job_id == artifact.job_id, Artifact.name == artifact.name, Artifact.complete)
    replaced = session.scalars(select(func.coalesce(func.sum(Artifact.size), 0)).where(*same_name)).one()
    owner = session.scalars(select(Job.owner).where(Job.id == artifact.job_id)).one()
    what = f"{artifact.name} of {artifact.size} bytes cannot be stored"
    _within(session, quota, owner, spare=-int(replaced), what=what)


def check_dataset(session: Session, quota: Quota, owner: str, size: int) -> None:
    """Whether a data set of ``size`` bytes, which is no row yet, fits in. Raises QuotaExceededError."""
    _within(session, quota, owner, spare=size, what=f"A data set of {size} bytes cannot be stored")


def stored_bytes(session: Session, owner: str | None = None) -> int:
    """What is stored, of one owner or of all. Whatever else is to count is added here."""
    artifacts = select(func.coalesce(func.sum(Artifact.size), 0)).join(Job, Job.id == Artifact.job_id)
    datasets = select(func.coalesce(func.sum(Dataset.size), 0))
    if owner is not None:
        artifacts, datasets = artifacts.where(Job.owner == owner), datasets.where(Dataset.owner == owner)
    return int(session.scalars(artifacts).one()) + int(session.scalars(datasets).one())


def _within(session: Session, quota: Quota, owner: str, *, spare: int, what: str) -> None:
    """Whether what is stored and ``spare`` bytes stay within the limits."""
    if quota.per_owner is not None and stored_bytes(session, owner) + spare > quota.per_owner:
        raise QuotaExceededError(f"{what}: {owner} may store {quota.per_owner} bytes; {_REMEDY}.")
    if quota.total is not None and stored_bytes(session) + spare > quota.total:
        raise QuotaExceededError(f"{what}: the service may store {quota.total} bytes; {_REMEDY}.")
