"""What the command line prints: results on standard output, everything else on standard error."""

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from espalier.resources import Job


def fail(message: str, *, code: int) -> NoReturn:
    """One line on standard error, and out."""
    print(f"espalier: {message}", file=sys.stderr)
    sys.exit(code)


def say(message: str) -> None:
    """A line for the person at the terminal; never mixed into a result that is piped on."""
    print(message, file=sys.stderr)


def job_json(job: "Job") -> str:
    """The job as the service told it."""
    return job.model_dump_json(indent=2)


def verdict(job: "Job") -> str:
    """The end of a job in a line."""
    if job.error is not None:
        field = f"{job.error.param}: " if job.error.param else ""
        return f"{job.id} {job.status}: {field}{job.error.message} ({job.error.code})"
    return f"{job.id} {job.status}"
