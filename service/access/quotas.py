"""Storage quotas, checked when a job is submitted and before an artifact, a data set or a model is stored.

Counted are artifacts, data sets and models by their announced sizes, also while they are being written, the records of
jobs (spec, metadata, events, metrics) and the checkpoints of jobs that have not ended; concurrent submissions and files may
overshoot by their own sizes.
"""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.models import Artifact, Dataset, Job, UploadedMask, UploadedModel
from service.errors import QuotaExceededError
from service.settings import Settings

_REMEDY = "delete finished jobs, data sets or models that are no longer needed, or cancel paused jobs, which keep checkpoints"


@dataclass(frozen=True)
class Quota:
    """Bytes; None: no limit."""

    total: int | None = None
    per_owner: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The limits of the settings."""
        return cls(settings.max_stored_bytes, settings.max_stored_bytes_per_owner)


def check_submission(session: Session, quota: Quota, owner: str) -> None:
    """Check that ``owner`` has any space left. Raises QuotaExceededError."""
    _check_limits(session, quota, owner, additional=1, what="Nothing more can be stored")


def check_artifact(session: Session, quota: Quota, artifact: Artifact) -> None:
    """Check that a new artifact, which is a row of this transaction, fits. Raises QuotaExceededError.

    A complete one of the same name does not count, because it will be replaced; nor do checkpoints, which are deleted when their
    jobs end: a job that has run for hours should not lose its result to them.
    """
    same_name = (Artifact.job_id == artifact.job_id, Artifact.name == artifact.name, Artifact.complete)
    replaced = session.scalars(select(func.coalesce(func.sum(Artifact.size), 0)).where(*same_name)).one()
    owner = session.scalars(select(Job.owner).where(Job.id == artifact.job_id)).one()
    what = f"{artifact.name} of {artifact.size} bytes cannot be stored"
    _check_limits(session, quota, owner, additional=-int(replaced), what=what, checkpoints=False)


def check_upload(session: Session, quota: Quota, owner: str, size: int, kind: str) -> None:
    """Check that a data set, model or mask (``kind``) of ``size`` bytes, which has no row yet, fits. Raises QuotaExceededError."""
    _check_limits(session, quota, owner, additional=size, what=f"A {kind} of {size} bytes cannot be stored")


def stored_bytes(session: Session, owner: str | None = None, *, checkpoints: bool = True) -> int:
    """Bytes stored, of one owner or of all, with or without checkpoints."""
    kept = Job.record_bytes + Job.checkpoint_bytes if checkpoints else Job.record_bytes
    records = select(func.coalesce(func.sum(kept), 0))
    artifacts = select(func.coalesce(func.sum(Artifact.size), 0)).join(Job, Job.id == Artifact.job_id)
    datasets = select(func.coalesce(func.sum(Dataset.size), 0))
    models = select(func.coalesce(func.sum(UploadedModel.size), 0))
    masks = select(func.coalesce(func.sum(UploadedMask.size), 0))
    if owner is not None:
        artifacts, datasets = artifacts.where(Job.owner == owner), datasets.where(Dataset.owner == owner)
        records, models = records.where(Job.owner == owner), models.where(UploadedModel.owner == owner)
        masks = masks.where(UploadedMask.owner == owner)
    return sum(int(session.scalars(kind).one()) for kind in (artifacts, datasets, models, masks, records))


def _check_limits(session: Session, quota: Quota, owner: str, *, additional: int, what: str, checkpoints: bool = True) -> None:
    """Check that the stored bytes and ``additional`` ones are within the limits."""

    def needed(of: str | None) -> int:
        return stored_bytes(session, of, checkpoints=checkpoints) + additional

    if quota.per_owner is not None and needed(owner) > quota.per_owner:
        raise QuotaExceededError(f"{what}: {owner} may store {quota.per_owner} bytes; {_REMEDY}.")
    if quota.total is not None and needed(None) > quota.total:
        raise QuotaExceededError(f"{what}: the service may store {quota.total} bytes; {_REMEDY}.")
