"""Worker process: a Celery worker with a thread pool, built in code and configured from the environment.

Called by ``python -m worker``, and so by ``espalier worker``, ``espalier serve`` and the image. Celery brings the wake-up messages,
the threads and the signals; the work is done in ``worker.run``. Celery's own command line is not used: it puts the working
directory first on the module search path, and a ``worker/`` or ``service/`` there would be imported in place of ours.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from celery.signals import celeryd_init, setup_logging, worker_init, worker_ready, worker_shutdown, worker_shutting_down

from service.broker import WORK_TASK, celery_app, create_folders
from service.db.engine import Database
from service.settings import Settings
from worker import json_logging
from worker.context import Context
from worker.maintenance.garbage_collector import GarbageCollector
from worker.maintenance.maintainer import Maintainer
from worker.run import loop
from worker.webhooks.dispatcher import WebhookDispatcher

settings = Settings()
app = celery_app(settings)
log = logging.getLogger(__name__)
_process: dict[str, Any] = {}
"""The ``context`` and the background ``threads`` of this worker, from its start to its end."""


@app.task(name=WORK_TASK)  # type: ignore[untyped-decorator]  # celery has no types
def work() -> None:
    """Claim jobs until the queue is empty."""
    loop.work(_process["context"])


@celeryd_init.connect  # type: ignore[untyped-decorator]  # before Celery's first messages, which are warnings
@setup_logging.connect  # type: ignore[untyped-decorator]
def _log_as_json(loglevel: int | str = logging.INFO, **_: object) -> None:
    json_logging.configure(loglevel)


@worker_init.connect  # type: ignore[untyped-decorator]
def _open(**_: object) -> None:
    create_folders(app)
    context = Context(settings, Database(settings.database_url))
    threads = [Maintainer(context), GarbageCollector(context), WebhookDispatcher(context)]
    _process.update(context=context, threads=threads)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _start_threads(**_: object) -> None:
    for thread in _process["threads"]:
        thread.start()
    context = _process["context"]
    log.info(
        "worker %s is ready: %d slots, %d devices", context.worker_id, settings.worker_slots, context.devices.total
    )


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _begin_shutdown(**_: object) -> None:
    """SIGTERM or SIGINT arrived. Celery waits for its threads, and each of them for its trainer, up to the grace."""
    log.info("leaving: trainers save their work, jobs go back to the queue")
    _process["context"].stopping.set()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _close(**_: object) -> None:
    for thread in reversed(_process["threads"]):
        thread.stop()
    _process["context"].database.dispose()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the worker until SIGTERM or SIGINT, then exit. ``argv`` defaults to the arguments of this process."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Run a worker of this service.")
    parser.add_argument("--concurrency", type=int, help="threads that take jobs; default: ESPALIER_WORKER_SLOTS")
    parser.add_argument("--loglevel", type=str.upper, default="INFO", choices=sorted(logging.getLevelNamesMapping()))
    options = parser.parse_args(argv)
    celery_worker = app.Worker(
        pool_cls="threads",
        concurrency=options.concurrency,
        loglevel=options.loglevel,
        quiet=True,
        # workers learn of each other from the database
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    celery_worker.start()
    sys.exit(celery_worker.exitcode)
