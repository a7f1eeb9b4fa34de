"""The worker process: ``celery -A worker.app worker --pool threads --concurrency SLOTS``.

Celery brings the doorbell, the threads and the signals; what is done is in ``tasks.py`` and below. Built on import, as
Celery wants it, from the environment; the database is opened when the worker starts.
"""

import logging
from typing import Any

from celery.signals import celeryd_init, setup_logging, worker_init, worker_ready, worker_shutdown, worker_shutting_down

from service.broker import WORK_TASK, celery_app, create_folders
from service.db.engine import Database
from service.settings import Settings
from worker import json_logging
from worker.context import Context
from worker.maintenance.maintainer import Maintainer
from worker.run import loop
from worker.webhooks.dispatcher import WebhookDispatcher

settings = Settings()
app = celery_app(settings)
log = logging.getLogger(__name__)
_process: dict[str, Any] = {}
"""The ``context``, ``rescuer`` and ``messenger`` of this worker, from its start to its end."""


@app.task(name=WORK_TASK)  # type: ignore[untyped-decorator]  # celery has no types
def work() -> None:
    """Somebody rang: look at the table."""
    loop.work(_process["context"])


@celeryd_init.connect  # type: ignore[untyped-decorator]  # before Celery has its first words, which are warnings
@setup_logging.connect  # type: ignore[untyped-decorator]
def _log_as_json(loglevel: int | str = logging.INFO, **_: object) -> None:
    json_logging.configure(loglevel)


@worker_init.connect  # type: ignore[untyped-decorator]
def _open(**_: object) -> None:
    create_folders(app)
    context = Context(settings, Database(settings.database_url))
    _process.update(context=context, rescuer=Maintainer(context), messenger=WebhookDispatcher(context))


@worker_ready.connect  # type: ignore[untyped-decorator]
def _ready(**_: object) -> None:
    _process["rescuer"].start()
    _process["messenger"].start()
    context = _process["context"]
    log.info(
        "worker %s is ready: %d slots, %d devices", context.worker_id, settings.worker_slots, context.devices.total
    )


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _leave(**_: object) -> None:
    """TERM or INT arrived. Celery waits for the threads, and each of them for its trainer, up to its grace."""
    log.info("leaving: trainers save their work, jobs go back to the queue")
    _process["context"].stopping.set()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _gone(**_: object) -> None:
    _process["messenger"].end()
    _process["rescuer"].end()
    _process["context"].database.dispose()
