"""``espalier worker`` and ``espalier health``: additional worker for a reachable service, and its probe."""

from typing import Annotated

import typer

from espalier.cli.service_access import DataDir, become, opened, overrides, read_settings, service_log
from espalier.errors import EspalierError
from espalier.extras import require

WORKER = "worker"
"""The worker's module, which ``serve`` starts as well."""
SERVICE_PACKAGES = ("sqlalchemy", "celery", "torch", "transformers")
"""Packages without which no job would run, one per extra; located without being imported."""


def worker(
    slots: Annotated[int | None, typer.Option(min=1, max=256, help="Jobs to run at the same time.")] = None,
    data_dir: DataDir = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a database that does not answer instead of exiting.")] = False,
) -> None:
    """Run a worker: it takes jobs from the service's database until it is stopped with Ctrl-C or SIGTERM.

    Settings come from ESPALIER_… variables, the same as the API's. Example: espalier worker --slots 2
    """
    require(SERVICE_PACKAGES)
    notify = service_log("worker")
    settings = read_settings(worker_slots=slots, data_dir=data_dir)
    try:
        with opened(settings):  # an unreachable or outdated database is reported in one line, before the worker starts
            pass
    except EspalierError as error:
        if not wait:
            raise
        notify(str(error))
    notify(f"worker with {settings.worker_slots} slots; running jobs save their work when it is stopped")
    become([WORKER], overrides(settings), settings)


def health() -> None:
    """Exit with 0 if the worker on this host has a recent heartbeat in the database, with 1 if not. For container probes.

    Settings come from ESPALIER_… variables, the same as the worker's. Example: espalier health
    """
    require(SERVICE_PACKAGES[:2])  # the probe needs no trainer's settings
    become(["worker.health"], {})
