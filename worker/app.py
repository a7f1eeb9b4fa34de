"""Worker process: a Celery worker with a thread pool, built in code and configured from the environment.

Called by ``python -m worker``, and so by ``espalier worker``, ``espalier serve`` and the image. Celery brings the wake-up messages,
the threads and the signals; the work is done in ``worker.run``. Celery's own command line is not used: it puts the working
directory first on the module search path, and a ``worker/`` or ``service/`` there would be imported in place of ours.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from celery import signals
from celery.apps import worker as celery_program

from pruning import __version__
from pruning.processes.confinement import close_process_memory
from service.broker import WORK_TASK, celery_app, create_folders
from service.broker_connection import connection_fault
from service.db.engine import Database
from service.environment import settings_or_exit, warn_of_settings
from service.log_format import configure
from service.settings import Settings
from service.tracing import spans
from worker.context import Context
from worker.maintenance.garbage_collector import GarbageCollector
from worker.maintenance.maintainer import Maintainer
from worker.monitoring.server import MetricsPortError, MetricsServer
from worker.run import loop
from worker.run.trainer_user import TrainerUserError, prepare_trainer_user
from worker.webhooks.dispatcher import WebhookDispatcher

log = logging.getLogger(__name__)


class WorkerProcess:
    """Background threads of one worker, and the hooks of its Celery worker."""

    def __init__(self, settings: Settings) -> None:
        """Opens the database and finds the devices. Raises OSError, TrainerUserError, MetricsPortError."""
        self._settings = settings
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows, specs and tokens of all owners
        prepare_trainer_user(settings)
        spans.start(settings.otlp_endpoint, "espalier-worker", __version__)
        self._context = Context(settings, Database(settings.database_url))
        self._threads: tuple[Maintainer | GarbageCollector | WebhookDispatcher, ...] = (
            Maintainer(self._context),
            GarbageCollector(self._context),
            WebhookDispatcher(self._context),
        )
        self._metrics_server = MetricsServer(settings, self._context.registry)
        self._app = celery_app(settings)
        create_folders(self._app)
        self._app.task(name=WORK_TASK)(self._work)
        # strong references: Celery drops handlers that nothing else refers to
        signals.setup_logging.connect(_keep_logging, weak=False)
        signals.celeryd_after_setup.connect(self._start_threads, weak=False)  # before the broker is connected to
        signals.worker_ready.connect(self._log_ready, weak=False)
        signals.worker_shutting_down.connect(self._begin_shutdown, weak=False)
        signals.worker_shutdown.connect(self._close, weak=False)

    def run(self, *, concurrency: int | None) -> int:
        """Run until SIGTERM or SIGINT; the exit code. ``concurrency``: threads that take jobs, by default one per slot."""
        if self._settings.broker_url.startswith("rediss://") and (fault := connection_fault(self._app)):
            log.error("jobs start late, because the broker cannot be used: %s", fault)  # Celery tries again, without a remedy
        celery_worker = self._app.Worker(
            pool_cls="threads",
            concurrency=concurrency,
            quiet=True,
            # workers find each other through the database
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # its signal handlers write plain text past the log; _begin_shutdown has a line
        celery_program.safe_say = lambda *_: None
        celery_worker.start()
        return int(celery_worker.exitcode or 0)

    def _work(self) -> None:
        """The task: claim jobs until the queue is empty."""
        loop.work(self._context)

    def _start_threads(self, **_: Any) -> None:
        """Without waiting for the broker: jobs are found in the table, and heartbeats tell the service of this worker."""
        for thread in self._threads:
            thread.start()

    def _log_ready(self, **_: Any) -> None:
        slots, devices = self._settings.worker_slots, self._context.devices.total
        log.info("worker %s is ready: %d slots, %d devices", self._context.worker_id, slots, devices)

    def _begin_shutdown(self, **_: Any) -> None:
        """SIGTERM or SIGINT arrived. Celery waits for its threads, and each of them for its trainer, up to the grace."""
        log.info("stopping: trainers write checkpoints, jobs return to the queue")
        self._context.stopping.set()

    def _close(self, **_: Any) -> None:
        for thread in reversed(self._threads):
            thread.stop()
        self._metrics_server.stop()
        self._context.database.dispose()
        spans.stop()


def _keep_logging(**_: Any) -> None:
    """Handler that keeps Celery from configuring its own log formats."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the worker until SIGTERM or SIGINT, then exit. ``argv`` defaults to the arguments of this process."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Run a worker of this service.")
    parser.add_argument("--concurrency", type=int, help="threads that take jobs; default: ESPALIER_WORKER_SLOTS")
    options = parser.parse_args(argv)
    configure("worker")
    settings = settings_or_exit()
    close_process_memory()  # before the first trainer: it runs as the same user
    warn_of_settings(settings, os.environ)
    try:
        process = WorkerProcess(settings)
    except (TrainerUserError, MetricsPortError) as error:
        sys.exit(f"espalier: {error}")
    sys.exit(process.run(concurrency=options.concurrency))
