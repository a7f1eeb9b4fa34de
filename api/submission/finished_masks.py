"""Finished masks: what a request needs that predicts with, exports or evaluates the mask of a job.

Called by the routes of predictions, exports and evaluations.
"""

from sqlalchemy.orm import Session

from api.errors.exceptions import NoMaskError, NotSucceededError
from api.predictions.service import MASK, WEIGHTS
from service.artifacts import store
from service.db.models import Artifact, Job, kind_of
from service.states import JobKind, Status

MASK_FILES = frozenset({MASK, WEIGHTS, "mask.espalier"})
"""What jobs that prune alone can have."""
_VERBS = {JobKind.EXPORT: "exports", JobKind.EVALUATION: "evaluates"}


def require_mask(session: Session, job: Job, purpose: str) -> Artifact:
    """The mask of a job that has succeeded; ``purpose`` is what needs it, in the plural.

    Raises NoMaskError for a job that makes none, NotSucceededError, ArtifactNotFoundError also for weights that belong to it.
    """
    require_mask_maker(job)
    if job.status is not Status.SUCCEEDED:
        raise NotSucceededError(f"job {job.id} is {job.status}; {purpose} need a mask, which only a job that succeeded has")
    mask = store.get(session, job.id, MASK)
    if (job.result or {}).get("weights_changed"):
        store.get(session, job.id, WEIGHTS)
    return mask


def require_mask_maker(job: Job) -> None:
    """Refuse a job of a kind that makes no mask. Raises NoMaskError naming the job whose mask it reads."""
    kind = kind_of(job)
    if kind is not JobKind.PRUNING:
        raise NoMaskError(
            f"job {job.id} {_VERBS[kind]} the mask of {job.export_of} and has none of its own; ask job {job.export_of} for it"
        )
