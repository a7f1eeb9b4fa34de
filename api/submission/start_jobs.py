"""Start of a job from the mask of another (``init_from``): what the database knows of that job, before this one is accepted.

Called by ``api.submission.admission``. Refusals are ``pruning.errors.PermanentError`` naming ``init_from``; the trainer compares
the weights.
"""

from pruning.errors import PermanentError
from pruning.spec.schema import PruningSpec
from pruning.spec.start import check_start, is_file_digest
from service.artifacts import store
from service.db.engine import Database
from service.errors import ArtifactNotFoundError, JobNotFoundError
from service.jobs import queries
from service.states import Status

_MASK = "mask.safetensors"


def check_start_job(database: Database, spec: PruningSpec, owner: str) -> None:
    """Refuse a spec whose ``init_from`` is no job of ``owner`` that has succeeded, with a mask for the same model.

    Raises PermanentError (``start_invalid``, ``job_not_found``, ``job_not_succeeded``, ``start_missing``, ``base_mismatch``,
    ``pattern_unfit``).
    """
    if spec.init_from is None:
        return
    if is_file_digest(spec.init_from):
        raise _refusal(
            "start_invalid",
            "a mask file is not taken over HTTP; give the id of the job that made the mask, or train outside the service with "
            "python -m pruning train --init-mask",
        )
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


def _refusal(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="init_from")
