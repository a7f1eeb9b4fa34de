"""Error catalog: every error code of a response, its HTTP status, the party that must act, the remedy, and the exceptions that have
it.

``api.errors.handlers`` takes statuses and codes from it. ``docs/reference/errors.md`` is generated from it and
``api.errors.failures``, and a test compares both with the codes that the packages use.
"""

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from api.errors.exceptions import (
    CodedError,
    ForbiddenError,
    ForgedFormError,
    NoMaskError,
    NotPossibleError,
    NotSucceededError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)
from api.errors.failures import Entry
from pruning.errors import PermanentError
from service import errors

PROBLEMS: dict[str, Entry] = {
    "artifact_changed": Entry(412, "client", "Download again from the start, with the new ETag."),
    "artifact_not_found": Entry(
        404, "client", "List the artifacts of the job; retention may have removed it.", errors.ArtifactNotFoundError
    ),
    "body_too_large": Entry(
        413, "client", "Send less, or have ESPALIER_MAX_BODY_BYTES, _MAX_DATASET_BYTES or _MAX_MODEL_BYTES raised.", HTTPException
    ),
    "cursor_invalid": Entry(
        422, "client", "Pass `next_cursor` of the page before as `after`, unchanged.", errors.InvalidCursorError
    ),
    "form_forged": Entry(403, "client", "Load the page again and send its form from there.", ForgedFormError),
    "database_outdated": Entry(503, "operator", "Run `espalier db upgrade`.", errors.SchemaOutdatedError),
    "database_unavailable": Entry(
        503, "none", "Try again after Retry-After; if it persists, check the database.", OperationalError
    ),
    "dataset_in_use": Entry(409, "client", "Wait for the jobs that read it, or cancel them.", errors.DatasetInUseError),
    "dataset_invalid": Entry(422, "client", "Fix the rows named in `errors`."),
    "dataset_not_found": Entry(404, "client", "Upload the data set; others' are not found either.", errors.DatasetNotFoundError),
    "uploaded_model_not_found": Entry(
        404, "client", "Upload the model; others' are not found either.", errors.UploadedModelNotFoundError
    ),
    "model_in_use": Entry(409, "client", "Wait for the jobs that read it, or cancel them.", errors.ModelInUseError),
    "uploaded_mask_not_found": Entry(
        404, "client", "Upload the mask; others' are not found either.", errors.UploadedMaskNotFoundError
    ),
    "mask_in_use": Entry(409, "client", "Wait for the jobs that start from it, or cancel them.", errors.MaskInUseError),
    "idempotency_in_progress": Entry(409, "none", "Send the same request again after Retry-After.", errors.RequestInProgressError),
    "idempotency_key_reused": Entry(422, "client", "Use a new Idempotency-Key for each request.", errors.IdempotencyKeyReusedError),
    "illegal_transition": Entry(409, "client", "Check the job's `status`; it does not allow this.", errors.IllegalTransitionError),
    "figures_busy": Entry(503, "none", "Try again after Retry-After.", UnavailableError),
    "insufficient_storage": Entry(503, "operator", "Try again later; the service needs a larger disk.", UnavailableError),
    "internal_error": Entry(500, "operator", "Give the `request_id` to the operator of the service: its log has the reason."),
    "invalid_request": Entry(422, "client", "Change the fields that `errors` names.", RequestValidationError),
    "job_has_no_mask": Entry(409, "client", "Use the job whose mask it exports or evaluates.", NoMaskError),
    "job_not_found": Entry(404, "client", "Check the id; jobs of other owners are not found either.", errors.JobNotFoundError),
    "job_not_succeeded": Entry(409, "client", "Wait until the job has succeeded.", NotSucceededError),
    "key_expired": Entry(401, "client", "Get a new API key from the operator.", UnauthorizedError),
    "key_missing": Entry(401, "client", "Send `Authorization: Bearer esp_…`.", UnauthorizedError),
    "key_not_found": Entry(404, "client", "Check the id: `espalier keys list`.", errors.KeyNotFoundError),
    "key_revoked": Entry(401, "client", "Get a new API key from the operator.", UnauthorizedError),
    "key_unknown": Entry(401, "client", "Check the key for missing characters; it must be one of this service.", UnauthorizedError),
    "loopback_only": Entry(403, "operator", "Set ESPALIER_REQUIRE_KEYS=true: without keys only its own machine is served."),
    "malformed_body": Entry(400, "client", "Send JSON, or a form for data sets.", HTTPException),
    "method_not_allowed": Entry(405, "client", "Use a method that the Allow header names.", HTTPException),
    "no_worker": Entry(503, "operator", "Start a worker; jobs wait for it.", UnavailableError),
    "not_found": Entry(404, "client", "Check the id.", errors.NotFoundError),
    "prediction_process_lost": Entry(
        503, "none", "Try again; if it persists, the API needs more memory for predictions.", UnavailableError
    ),
    "prediction_timeout": Entry(503, "none", "Send fewer texts, or try again: the model may be loaded by now.", UnavailableError),
    "predictions_busy": Entry(503, "none", "Try again after Retry-After.", UnavailableError),
    "predictions_unavailable": Entry(
        501, "operator", "Do what `detail` says, or download the mask and use `espalier.load_pruned`.", NotPossibleError
    ),
    "quota_exceeded": Entry(
        507, "client", "Delete jobs or data sets that are not needed, or have the limit raised.", errors.QuotaExceededError
    ),
    "range_not_satisfiable": Entry(416, "client", "Request a range within the file: Content-Range has its size."),
    "route_not_found": Entry(404, "client", "Use a path of `/openapi.json`.", HTTPException),
    "scope_missing": Entry(403, "client", "Use a key with the scope that `detail` names.", ForbiddenError),
    "secrets_unavailable": Entry(
        503, "operator", "Set ESPALIER_SECRET_KEY, the same for API and workers.", errors.SecretsUnavailableError
    ),
    "split_not_found": Entry(404, "client", "Use one of the splits of the data set.", errors.SplitNotFoundError),
    "storage_unavailable": Entry(
        503, "operator", "Try again; if it persists, check the object storage and its credentials.", errors.StorageUnavailableError
    ),
    "sweep_not_ended": Entry(409, "client", "Cancel the sweep first, or wait for its jobs.", errors.SweepNotEndedError),
    "sweep_not_found": Entry(404, "client", "Check the id.", errors.SweepNotFoundError),
    "sweep_too_large": Entry(422, "client", "Leave combinations out or submit several sweeps.", PermanentError),
    "text_not_unicode": Entry(422, "client", "Send whole Unicode characters.", PermanentError),
    "text_shape": Entry(422, "client", "Send a text, or a pair for tasks on two columns.", PermanentError),
    "texts_too_long": Entry(422, "client", "Send fewer or shorter texts.", PermanentError),
    "too_many_queued_jobs": Entry(429, "client", "Wait for jobs to start, or cancel some.", TooManyRequestsError),
    "too_many_requests": Entry(429, "client", "Wait for Retry-After; RateLimit has the remaining requests.", TooManyRequestsError),
    "too_many_streams": Entry(503, "none", "Close other event streams, or poll.", UnavailableError),
    "too_many_texts": Entry(422, "client", "Send the rest in a further request.", PermanentError),
    "too_many_uploads": Entry(503, "none", "Try again after Retry-After.", UnavailableError),
    "too_many_webhooks": Entry(422, "client", "Delete a webhook first.", PermanentError),
    "unsupported_media_type": Entry(
        415, "client", "Send JSON and say so in Content-Type; for data sets and models a form.", HTTPException
    ),
    "upload_too_slow": Entry(
        408, "client", "Send it compressed or over a faster connection, or have ESPALIER_UPLOAD_SECONDS raised.", HTTPException
    ),
    "webhook_not_found": Entry(404, "client", "Check the id.", errors.WebhookNotFoundError),
    "webhook_refused": Entry(422, "client", "Give an https URL of a public address.", PermanentError),
}
"""``code`` of a problem."""


def status_of(code: str) -> int:
    """The HTTP status of a problem with this ``code``. Raises KeyError for a code that no problem has."""
    return _STATUS[code]


def find_response(error: Exception) -> tuple[int, str] | None:
    """HTTP status and code of the response to ``error``, by the nearest of its classes in the catalog; None: it is a bug.

    An error that carries a code of its own keeps it, also one that only a trainer knows.
    """
    for base in type(error).__mro__:
        if base in _CODE_OF_CLASS:
            code = _CODE_OF_CLASS[base]
            return _STATUS[code], error.code if isinstance(error, CodedError | PermanentError) else code
    return None


_STATUS = {code: entry.status for code, entry in PROBLEMS.items() if entry.status is not None}
_CODE_OF_CLASS: dict[type, str] = {entry.exception: code for code, entry in PROBLEMS.items() if entry.exception is not None}
