"""``espalier worker``: one more worker for a service whose database and broker this machine can reach.

Becomes Celery, so that signals reach it directly; ``serve`` starts its own worker by the same command.
"""

import os
import sys
from typing import Annotated

import typer

from espalier.cli.output import say
from espalier.cli.service_access import DataDir, opened, overrides, read_settings


def worker(
    slots: Annotated[int | None, typer.Option(min=1, max=256, help="Jobs to run at the same time.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run a worker: it takes jobs from the service's database until it is stopped with Ctrl-C or SIGTERM.

    Settings come from ESPALIER_… variables, the same as the API's. Example: espalier worker --slots 2
    """
    settings = read_settings(worker_slots=slots, data_dir=data_dir)
    with opened(settings):  # a database that is away or not migrated is said in a line, before Celery takes over
        pass
    say(f"worker with {settings.worker_slots} slots; running jobs save their work when it is stopped")
    sys.stderr.flush()
    command = worker_command(settings.worker_slots)
    os.execve(command[0], command, os.environ | overrides(settings))  # noqa: S606 - our own interpreter, no shell


def worker_command(slots: int) -> list[str]:
    """The process that works, by its arguments."""
    return [
        sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "worker", "--pool", "threads",
        "--concurrency", str(slots), "--loglevel", "INFO",
        "--without-gossip", "--without-mingle", "--without-heartbeat",  # this worker talks to the database, not to others
    ]  # fmt: skip
