"""Start of a job from a mask (``init_from``): what the database knows of the job or the upload that it is of, before this one is
accepted.

Called by ``api.submission.admission``. Refusals are ``pruning.errors.PermanentError`` naming ``init_from``; the trainer compares
the weights.
"""

from sqlalchemy.orm import Session

from pruning.errors import PermanentError
from pruning.spec.schema import PruningSpec
from pruning.spec.start import check_start, is_file_digest
from service import uploaded_masks
from service.artifacts import store
from service.db.engine import Database
from service.errors import ArtifactNotFoundError, JobNotFoundError, UploadedMaskNotFoundError
from service.ids import is_mask_id
from service.jobs import queries
from service.states import Status

_MASK = "mask.safetensors"


def check_start_job(database: Database, spec: PruningSpec, owner: str) -> None:
    """Refuse a spec whose ``init_from`` is no uploaded mask of ``owner`` and no job that has succeeded, for the same model.

    Raises PermanentError (``start_invalid``, ``start_missing``, ``job_not_found``, ``job_not_succeeded``, ``base_mismatch``,
    ``pattern_unfit``).
    """
    if spec.init_from is None:
        return
    if is_file_digest(spec.init_from):
        raise _refusal(
            "start_invalid",
            "a mask is not named by its digest over HTTP; give the id of the job that made it, or upload it and give that id: "
            "espalier masks push mask.safetensors",
        )
    if is_mask_id(spec.init_from):
        _check_uploaded(database, spec, spec.init_from, owner)
        return
    with database.read() as session:
        try:
            job = queries.get(session, spec.init_from, owner=owner)
        except JobNotFoundError as missing:
            raise _refusal("job_not_found", str(missing)) from missing
        if job.export_of is not None:
            raise _refusal("start_missing", f"job {job.id} makes no mask of its own; give job {job.export_of}")
        if job.status is not Status.SUCCEEDED:
            raise _refusal("job_not_succeeded", f"job {job.id} is {job.status}; only a job that succeeded has a mask")
        try:
            store.get(session, job.id, _MASK)
        except ArtifactNotFoundError as missing:
            raise _refusal("start_missing", str(missing)) from missing
        start = job.spec
    if start["model"] != spec.model:
        raise _refusal(
            "base_mismatch",
            f"the mask of job {spec.init_from} is for model {start['model']}; set model to it, or leave init_from out",
        )
    check_start(spec.model_dump(), start)


def _check_uploaded(database: Database, spec: PruningSpec, mask_id: str, owner: str) -> None:
    with database.read() as session:
        try:
            about = uploaded_masks.get(session, mask_id, owner=owner).about
        except UploadedMaskNotFoundError as missing:
            raise _refusal("start_missing", str(missing)) from missing
    check_start(spec.model_dump(), about)  # the trainer compares the weights: a model may have another name where the mask was made


def lock_start(session: Session, spec: PruningSpec, owner: str) -> None:
    """Protect an uploaded mask that ``spec`` starts from until this transaction, which adds the job, has ended.

    Raises PermanentError (``start_missing``).
    """
    try:
        uploaded_masks.lock_start(session, spec.model_dump(include={"init_from"}), owner=owner)
    except UploadedMaskNotFoundError as missing:
        raise _refusal("start_missing", str(missing)) from missing


def _refusal(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="init_from")
