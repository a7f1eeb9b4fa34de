"""``espalier logs``: what happened to a job, a line per event."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options

if TYPE_CHECKING:
    from espalier.client.models import Event

_PATIENCE_SECONDS = 300.0


def logs(
    job: options.JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Print a job's log; with --json an event per line. Following survives a restart of the service.

    Example: espalier logs job_01jd3 --follow
    """
    with options.client(url, api_key) as client:
        for event in client.events(job, live=follow, patience=_PATIENCE_SECONDS):
            print(event.model_dump_json() if as_json else line(event), flush=True)


def line(event: "Event") -> str:
    """As the service has it at ``…/log``."""
    data = {name: value for name, value in event.data.items() if name not in ("event", "time", "message")}
    message = str(event.data.get("message") or "")
    words = [message] if message else []
    words += [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in data.items()]
    time = f"{event.created_at:%Y-%m-%dT%H:%M:%SZ}" if event.created_at is not None else ""
    text = " ".join(words).replace("\r", "").replace("\n", "\n    ")
    return f"{time}  {event.attempt}  {event.type:<11} {text}"
