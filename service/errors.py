"""Errors of the service. The class docstring is the default message.

``api.errors`` gives each base class an HTTP status and a code; nothing here refers to HTTP.

    ServiceError
    ├── NotFoundError               JobNotFoundError, SweepNotFoundError, WebhookNotFoundError and similar
    ├── IllegalTransitionError      the job's state does not allow the request
    ├── SweepNotEndedError          some of the sweep's jobs have not ended
    ├── DestinationRefusedError     a webhook URL is not allowed: TooManyLookupsError
    ├── LeaseLostError              the caller no longer owns the job: stop, write nothing more
    ├── ArtifactMismatchError       a file differs from its announcement
    ├── InvalidCursorError          the cursor of a page was not made by the service
    ├── DatasetInUseError           a job that has not ended reads the data set; ModelInUseError, MaskInUseError
    ├── IdempotencyError            no stored response to return: RequestInProgressError, IdempotencyKeyReusedError
    ├── InvalidKeyError             an API key that is unknown, revoked or malformed
    ├── QuotaExceededError          no space for the bytes to be stored
    ├── StorageUnavailableError     the object storage does not answer or refuses: ObjectMissingError
    ├── SecretsUnavailableError     no secret key, or another than the one a secret was sealed with
    └── SchemaOutdatedError         the database was not migrated
"""

from service.states import Status


class ServiceError(Exception):
    """Base class: the service refused the request."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class NotFoundError(ServiceError):
    """There is no such resource."""


class JobNotFoundError(NotFoundError):
    """There is no such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.")
        self.job_id = job_id


class SweepNotFoundError(NotFoundError):
    """There is no such sweep."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"There is no sweep {sweep_id}.")


class WebhookNotFoundError(NotFoundError):
    """There is no such webhook."""

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"There is no webhook {webhook_id}.")


class ArtifactNotFoundError(NotFoundError):
    """There is no such artifact."""


class StartMaskNotFoundError(NotFoundError):
    """The mask that a job starts from was deleted."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The mask of {job_id}, from which this job was to start, was deleted.")


class KeyNotFoundError(NotFoundError):
    """There is no such API key."""


class DatasetNotFoundError(NotFoundError):
    """There is no such data set."""

    def __init__(self, dataset_id: str) -> None:
        super().__init__(f"There is no data set {dataset_id}; upload it.")


class UploadedModelNotFoundError(NotFoundError):
    """There is no such uploaded model."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"There is no uploaded model {model_id}; upload it.")


class ModelInUseError(ServiceError):
    """A job that has not ended reads this model."""


class UploadedMaskNotFoundError(NotFoundError):
    """There is no such uploaded mask."""

    def __init__(self, mask_id: str) -> None:
        super().__init__(f"There is no uploaded mask {mask_id}; upload it.")


class MaskInUseError(ServiceError):
    """A job that has not ended starts from this mask."""


class SplitNotFoundError(NotFoundError):
    """The data set has no such split."""


class DatasetInUseError(ServiceError):
    """A job that has not ended reads this data set."""


class IdempotencyError(ServiceError):
    """There is no stored response to return."""


class RequestInProgressError(IdempotencyError):
    """A request with this idempotency key is in progress; try again in a moment."""


class IdempotencyKeyReusedError(IdempotencyError):
    """This idempotency key was used for another request; use a new key for each request."""


class InvalidKeyError(ServiceError):
    """This is not an API key of this service."""

    def __init__(self, message: str | None = None, *, code: str = "key_unknown") -> None:
        super().__init__(message)
        self.code = code
        """More specific only for a key that was once valid."""


class IllegalTransitionError(ServiceError):
    """The job's state does not allow this."""

    def __init__(self, job_id: str, status: Status, wanted: str) -> None:
        super().__init__(f"Job {job_id} is {status}; it cannot be {wanted}.")
        self.job_id = job_id
        self.status = status
        """The job's status at the request."""


class SweepNotEndedError(ServiceError):
    """Some of the sweep's jobs have not ended."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"Sweep {sweep_id} has jobs that have not ended; cancel it first.")


class DestinationRefusedError(ServiceError):
    """A webhook must not use this URL."""


class TooManyLookupsError(DestinationRefusedError):
    """Too many host names of this owner are being looked up, because their name servers are slow; try again later."""


class LeaseLostError(ServiceError):
    """The job is no longer run by this attempt; nothing was written."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} no longer runs job {job_id}; nothing was written.")
        self.job_id = job_id
        self.attempt = attempt


class ArtifactMismatchError(ServiceError):
    """The file differs from what was announced."""


class QuotaExceededError(ServiceError):
    """There is no space left to store this."""


class StorageUnavailableError(ServiceError):
    """The object storage cannot be used."""


class ObjectMissingError(StorageUnavailableError):
    """The object storage lacks an object of the database."""


class InvalidCursorError(ServiceError):
    """This cursor did not come from an earlier page."""


class SecretsUnavailableError(ServiceError):
    """Stored secrets cannot be used."""


class SchemaOutdatedError(ServiceError):
    """The database is not at the schema of this version; run the migrations."""
