"""What can go wrong with remembered things. The class docstring is the default message.

The API gives each base class a status; no class here knows HTTP.

    JobsError
    ├── NotFound            JobNotFound, ArtifactNotFound
    ├── IllegalTransition   the job's state does not allow what was asked
    ├── LeaseLost           the caller no longer owns the job: stop, write nothing more
    ├── ArtifactMismatch    a file is not what was announced
    ├── CursorInvalid       a page was asked for with a made-up cursor
    └── SchemaOutdated      the database was not migrated
"""

from jobs.states import Status


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


class ArtifactNotFound(NotFound):
    """There is no such artifact."""


class IllegalTransition(JobsError):
    """The job's state does not allow this."""

    def __init__(self, job_id: str, status: Status, wanted: str) -> None:
        super().__init__(f"Job {job_id} is {status}; it cannot be {wanted}.")
        self.job_id = job_id
        self.status = status
        """State the job was found in."""


class LeaseLost(JobsError):
    """The job is no longer run by this attempt; nothing was written."""

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} no longer runs job {job_id}; nothing was written.")
        self.job_id = job_id
        self.attempt = attempt


class ArtifactMismatch(JobsError):
    """The file differs from what was announced."""


class CursorInvalid(JobsError):
    """This cursor did not come from an earlier page."""


class SchemaOutdated(JobsError):
    """The database is not at the schema of this version; run the migrations."""
