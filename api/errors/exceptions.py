"""Exceptions of the HTTP interface, in addition to those of ``service`` and ``pruning``.

Raised by every package of ``api``; ``api.errors.catalog`` gives each class its status and its codes.
"""


class CodedError(Exception):
    """An error whose code is chosen where it is raised."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnavailableError(CodedError):
    """The service cannot do this now; the same request may succeed later."""

    def __init__(self, code: str, message: str, *, retry_after: int = 5) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after
        """Seconds."""


class TooManyRequestsError(CodedError):
    """The caller has used up an allowance."""

    def __init__(self, code: str, message: str, *, retry_after: int) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after
        """Seconds."""


class NotPossibleError(CodedError):
    """The configuration of the service does not allow this; the message names the setting."""


class UnauthorizedError(CodedError):
    """The request has no API key, or one that is not valid."""


class ForbiddenError(Exception):
    """The API key is valid and lacks the scope that the route needs."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"this needs an API key with the scope {scope}")
        self.scope = scope


class NotSucceededError(Exception):
    """The request needs a job that has succeeded."""


class NoMaskError(Exception):
    """The request needs a mask, and the job exports or evaluates that of another job."""


class ForgedFormError(Exception):
    """A form that changes something was not sent by a page of this session."""

    def __init__(self) -> None:
        super().__init__("this form was not sent by a page of your session, or the session has ended since; load it again")
