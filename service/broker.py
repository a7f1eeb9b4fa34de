"""Message broker (Celery): sends the wake-up message that makes a worker claim jobs until the queue is empty.

The API sends with ``notify_workers``, the worker consumes with the same ``celery_app``. The row of a job is the truth: a wake-up
message that is lost, delayed or repeated does no harm.
"""

import logging
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError

from service.broker_connection import diagnose
from service.settings import Settings

WORK_TASK = "espalier.work"
"""Name of the only task; ``worker.app`` defines it, and the API sends it by name, without worker code."""
QUEUE = "espalier"

_log = logging.getLogger(__name__)


def celery_app(settings: Settings) -> Celery:
    """A Celery application for sending (API) and consuming (worker); every setting that matters is set here."""
    app = Celery("espalier", set_as_current=False)
    app.conf.update(_broker(settings), **_MESSAGES, **_WORKER, worker_concurrency=settings.worker_slots)
    return app


def notify_workers(app: Celery) -> bool:
    """Wake one worker. False, and a warning in the log, when the broker cannot be reached; never raises for that.

    Takes a second or two at most: the caller's row is already committed, and workers also poll the table.
    """
    try:
        create_folders(app)
        app.send_task(WORK_TASK, retry=False, ignore_result=True)
    except (KombuError, CeleryError, OSError) as error:
        fault = diagnose(error, app.conf.broker_url)
        _log.warning("broker unreachable, the job waits until a worker polls the table: %s", fault)
        return False
    return True


_MESSAGES: dict[str, Any] = {
    "task_default_queue": QUEUE,
    # JSON both ways: with pickle, write access to the broker would mean running code here
    "accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    # The row has the result; a result backend is one more input to trust (CVE-2021-23727)
    "result_backend": None,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "task_track_started": False,
    # No retry inside send_task: the API must respond, and workers also poll the table
    "task_publish_retry": False,
    # Celery's events are not used; metrics come from the database
    "task_send_sent_event": False,
    "worker_send_task_events": False,
    "enable_utc": True,
    "timezone": "UTC",
}

_WORKER: dict[str, Any] = {
    "worker_pool": "threads",  # a task only supervises a process of its own: nothing to fork, no CUDA in this process
    # Early: with late acknowledgement Redis delivers every job longer than the visibility timeout again (measured: three
    # executions of one). The lease is what requeues a lost job
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,  # would loop without limit; attempts are counted in the table
    # Announced to become True: a broker outage must not end trainings that do not need the broker
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_prefetch_multiplier": 1,  # a message taken by a busy worker would wake none
    # Celery's own limits kill without cleanup, and only in prefork; the supervisor enforces max_duration and detects stalls
    "task_time_limit": None,
    "task_soft_time_limit": None,
    # Cancelling is a column; remote control needs broadcast, which the filesystem lacks, and leaks reply queues on Redis
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,  # the worker configures its own logging
    "worker_redirect_stdouts": False,
    # Start without a broker and keep trying: the maintenance thread finds jobs in the table meanwhile
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
}


def _broker(settings: Settings) -> dict[str, Any]:
    if settings.broker_url.startswith("filesystem"):
        return {
            "broker_url": "filesystem://localhost",  # without a host kombu warns at every start
            "broker_transport_options": _folders(settings.data_dir / "broker"),
            "worker_disable_prefetch": False,  # Redis only
        }
    return {
        "broker_url": settings.broker_url,
        "broker_connection_timeout": 1,
        "worker_disable_prefetch": True,  # with a multiplier of 1 alone, a second message waits behind a job of hours
        "broker_transport_options": {
            "socket_connect_timeout": 1,
            "socket_timeout": 1,  # a broker that accepts the connection and never answers
            "socket_keepalive": True,
            "retry_on_timeout": False,
            "health_check_interval": 25,  # detects a dead connection
            "max_retries": 0,  # of connecting while sending; a consuming worker retries by broker_connection_retry
            "visibility_timeout": 3600,  # the default; no effect with acknowledgement at receipt
        },
    }


def create_folders(app: Celery) -> None:
    """Create what the filesystem broker needs, before the first message is sent or consumed. Raises OSError."""
    options = app.conf.broker_transport_options
    for name in ("data_folder_in", "control_folder"):
        if name in options:
            folder = Path(options[name])
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # closed to trainers of another user
            folder.mkdir(exist_ok=True)


def _folders(root: Path) -> dict[str, Any]:
    """Options of Kombu's filesystem transport: one folder is both inbox and outbox; the transport creates none."""
    messages, control = root / "messages", root / "control"
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(control),
        "store_processed": False,
        "polling_interval": 0.25,  # seconds from message to claim at worst; the default is one
    }
