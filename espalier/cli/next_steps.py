"""Next steps for a job: commands to paste, and the addresses of its page and of its report.

Printed by the commands that submit, follow and show a job, on standard error.
"""

import os
import shlex
from typing import TYPE_CHECKING

import typer

from espalier.cli.options import DEFAULT_URL
from espalier.cli.output import notify
from espalier.cli.progress import follow

if TYPE_CHECKING:
    from espalier.cli.service_context import ServiceContext
    from espalier.client._sync.client import Client
    from espalier.client.models import Job

_REPORT = "report.html"


def page_url(context: "ServiceContext", job: str) -> str:
    """Address of a job's page in a browser."""
    return f"{context.url.rstrip('/')}/jobs/{job}"


def addresses(context: "ServiceContext", job: "Job") -> list[str]:
    """A line for the job's page, and one for its report where it has made one."""
    page = page_url(context, job.id)
    lines = [f"page    {page}"]
    return [*lines, f"report  {page}/artifacts/{_REPORT}"] if job.artifact(_REPORT) is not None else lines


def commands(context: "ServiceContext", job: "Job") -> list[str]:
    """The three most likely next commands, by the job's state."""
    return [f"espalier {step.format(job=job.id)}{service_options(context)}" for step in _steps(job)]


def next_lines(context: "ServiceContext", job: "Job") -> list[str]:
    """Commands and addresses, a line for each."""
    first, *others = commands(context, job)
    return [f"next    {first}", *(f"        {each}" for each in others), *addresses(context, job)]


def how_to_return(context: "ServiceContext", job: str) -> list[str]:
    """Lines for a user who stops watching: the job continues, how to watch or stop it, its page."""
    options = service_options(context)
    return [
        f"{job} continues without this terminal",
        f"  watch:    espalier watch {job}{options}",
        f"  stop:     espalier cancel {job}{options}",
        f"  page:     {page_url(context, job)}",
    ]


def follow_job(context: "ServiceContext", client: "Client", job: str) -> "Job":
    """Follow a job to its end; an interrupt prints how to resume watching (typer.Exit, 130)."""
    try:
        return follow(client, job)
    except KeyboardInterrupt:
        for line in how_to_return(context, job):
            notify(line)
        raise typer.Exit(130) from None


def service_options(context: "ServiceContext") -> str:
    """Options with which further commands use the same service; never a key itself."""
    words = []
    if context.url != os.environ.get("ESPALIER_URL", DEFAULT_URL):
        words.append(f" --url {shlex.quote(context.url)}")
    if context.api_key is not None and context.api_key.startswith("@"):
        words.append(f" --api-key {shlex.quote(context.api_key)}")
    return "".join(words)


def _steps(job: "Job") -> tuple[str, str, str]:
    if job.status == "succeeded" and job.export_of is not None:
        return f"exports {job.export_of}", "logs {job}", "jobs --kind export"
    if job.status == "succeeded" and job.evaluation_of is not None:
        return f"evaluations {job.evaluation_of}", "logs {job}", "jobs --kind evaluation"
    if job.status == "succeeded":
        return 'predict {job} "a text of yours"', "exports {job} --to compact --watch", "show {job}"
    if job.status in ("failed", "cancelled"):
        return "show {job}", "logs {job}", "retry {job}"
    if job.status == "paused":
        return "resume {job}", "show {job}", "cancel {job}"
    return "watch {job}", "show {job}", "cancel {job}"
