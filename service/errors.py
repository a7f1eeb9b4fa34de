"""What can go wrong with remembered things. The class docstring is the default message.

The API gives each base class a status; no class here knows HTTP.

    JobsError
    ├── NotFound            JobNotFound, SweepNotFound, WebhookNotFound, ArtifactNotFound, KeyNotFound
    ├── IllegalTransition   the job's state does not allow what was asked
    ├── SweepNotEnded       some of the sweep's jobs have not ended
    ├── DestinationRefused  a webhook may not lead there
    ├── LeaseLost           the caller no longer owns the job: stop, write nothing more
    ├── ArtifactMismatch    a file is not what was announced
    ├── CursorInvalid       a page was asked for with a made-up cursor
    ├── DatasetInUse        a job that has not ended reads the data set
    ├── AnswerMissing       an idempotency key that gets no answer: AnswerPending, AnswerElsewhere
    ├── KeyInvalid          an API key that opens nothing
    ├── QuotaExceeded       no room for what is to be stored
    ├── StorageUnavailable  the object storage does not answer or refuses: ObjectMissing
    ├── SecretsUnavailable  no secret key, or not the one that a secret was stored under
    └── SchemaOutdated      the database was not migrated
"""

from service.states import Status


class JobsError(Exception):
    """The job store refused the request."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class NotFound(JobsError):
    """There is no such thing."""


class JobNotFound(NotFound):
    """There is no such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id}.")
        self.job_id = job_id


class SweepNotFound(NotFound):
    """There is no such sweep."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"There is no sweep {sweep_id}.")


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"There is no webhook {webhook_id}.")


class ArtifactNotFound(NotFound):
    """There is no such artifact."""


class KeyNotFound(NotFound):
    """There is no such API key."""


class DatasetNotFound(NotFound):
    """There is no such data set."""

    def __init__(self, dataset_id: str) -> None:
        super().__init__(f"There is no data set {dataset_id}; upload it.")


class SplitNotFound(NotFound):
    """The data set has no such split."""


class DatasetInUse(JobsError):
    """A job that has not ended reads this data set."""


class AnswerMissing(JobsError):
    """There is no answer to give again."""


class AnswerPending(AnswerMissing):
    """A request with this idempotency key is in progress; ask again in a moment."""


class AnswerElsewhere(AnswerMissing):
    """This idempotency key was used for another request; take a new key for each request."""


class KeyInvalid(JobsError):
    """This is no API key of this service."""

    def __init__(self, message: str | None = None, *, code: str = "key_unknown") -> None:
        super().__init__(message)
        self.code = code
        """Only who holds a key that once was good is told more than that it is not."""


class IllegalTransition(JobsError):
    """The job's state does not allow this."""

    def __init__(self, job_id: str, status: Status, wanted: str) -> None:
        super().__init__(f"Job {job_id} is {status}; it cannot be {wanted}.")
        self.job_id = job_id
        self.status = status
        """State the job was found in."""


class SweepNotEnded(JobsError):
    """Some of the sweep's jobs have not ended."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"Sweep {sweep_id} has jobs that have not ended; cancel it first.")


class DestinationRefused(JobsError):
    """A webhook may not lead there."""


class LeaseLost(JobsError):
    """The job is no longer run by this attempt; nothing was written."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} no longer runs job {job_id}; nothing was written.")
        self.job_id = job_id
        self.attempt = attempt


class ArtifactMismatch(JobsError):
    """The file differs from what was announced."""


class QuotaExceeded(JobsError):
    """There is no room left for what is to be stored."""


class StorageUnavailable(JobsError):
    """The object storage cannot be used."""


class ObjectMissing(StorageUnavailable):
    """The object storage has not what the database says it has."""


class CursorInvalid(JobsError):
    """This cursor did not come from an earlier page."""


class SecretsUnavailable(JobsError):
    """Stored secrets cannot be used."""


class SchemaOutdated(JobsError):
    """The database is not at the schema of this version; run the migrations."""
