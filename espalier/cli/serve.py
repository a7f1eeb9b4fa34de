"""``espalier serve`` and ``espalier api``: the whole service on one machine under one data folder, or its API alone.

``serve`` migrates the database, then keeps two processes running: the API (uvicorn) and one Celery worker with as many slots
as requested. ``api`` becomes the first of them.
"""

import logging
import os
import shlex
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli.listen import bind, refusal, url_from_here, url_of
from espalier.cli.output import fail
from espalier.cli.running import RunningService, registered
from espalier.cli.service_access import DataDir, become, migrate, opened, overrides, read_settings, service_log
from espalier.cli.worker import SERVICE_PACKAGES, WORKER
from espalier.extras import require

if TYPE_CHECKING:
    from espalier.cli.process_manager import ProcessManager
    from service.settings import Settings

_API = "espalier.cli.api_process"
_MARGIN_SECONDS = 15.0
"""Seconds beyond the trainers' grace period in which the worker requeues their jobs and exits."""
_PROBE_SECONDS = 2.0
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
"""glibc gives each thread its own heap and keeps freed memory there: 16 downloads cost 27 MiB instead of 34."""
_PROBE_PAUSE = 0.2
log = logging.getLogger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; beyond loopback, callers need keys.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of all data of the service.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs to run at the same time.")] = None,
) -> None:
    """Run the service: API, worker, database, in one data folder. Stop it with Ctrl-C.

    Settings come from ESPALIER_… variables; options win over them. Example: espalier serve --port 0 --workers 2
    """
    require(SERVICE_PACKAGES)
    from espalier.cli.process_manager import ManagedProcess, ProcessManager
    from pruning.processes.bootstrap import python_command
    from pruning.processes.confinement import close_process_memory
    from service.environment import unknown_variables

    close_process_memory()  # trainers run as the same user
    notify = service_log("serve", console=True)
    settings = read_settings(host=host, port=port, data_dir=data_dir, worker_slots=workers)
    if (reason := refusal(settings.host, keys_required=settings.keys_required)) is not None:
        fail(reason, code=2)
    with bind(settings.host, settings.port) as listening:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        migrate(settings)
        _notify_of_missing_key(settings, data_dir, notify)
        unknown = unknown_variables(os.environ)
        for line in unknown.values():  # once: API and worker would repeat it
            log.warning("%s", line)
        environment = {n: v for n, v in os.environ.items() if n not in unknown} | overrides(settings)
        environment["ESPALIER_LOG_FORMAT"] = settings.log_format or "console"
        descriptor = listening.fileno()
        services = [
            ManagedProcess("API", python_command(_API, str(descriptor)), _FEW_ARENAS | environment, (descriptor,)),
            ManagedProcess("worker", python_command(WORKER), environment),
        ]
        with registered(RunningService(url_from_here(listening), settings.data_dir)):
            _run(ProcessManager(services, notify), listening, settings, notify)


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on; beyond loopback, callers need keys.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the API alone, for a service whose database and workers are started separately. Stop it with Ctrl-C or SIGTERM.

    Settings come from ESPALIER_… variables; options win over them. Example: espalier api --host 0.0.0.0 --port 8000
    """
    notify = service_log("api")
    settings = read_settings(host=host, port=port, data_dir=data_dir)
    if (reason := refusal(settings.host, keys_required=settings.keys_required)) is not None:
        fail(reason, code=2)
    with bind(settings.host, settings.port) as listening:
        listening.set_inheritable(True)
        notify(f"the API listens on {url_of(listening)}")
        few_arenas = {name: value for name, value in _FEW_ARENAS.items() if name not in os.environ}
        become([_API, str(listening.fileno())], few_arenas | overrides(settings), settings)


def _run(manager: "ProcessManager", listening: socket.socket, settings: "Settings", notify: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM; a second signal does not wait for the trainers."""
    stopping, hurry = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        (hurry if stopping.is_set() else stopping).set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    message = f"Espalier listens on {url_of(listening)} (data in {settings.data_dir})"
    here = f"{url_from_here(listening)}{settings.root_path}"
    greeting = (f"  page   {here}/", f"  API    {here}/docs", "  stop   Ctrl-C; running jobs save their work")
    probe = _ReadinessProbe(url_from_here(listening), message, greeting, notify)
    try:
        manager.run(stopping, probe.tick)
    finally:
        notify("Espalier stops: running jobs save their work and continue at the next start")
        manager.stop(settings.term_grace_seconds + _MARGIN_SECONDS, hurry)


def _notify_of_missing_key(settings: "Settings", data_dir: Path | None, notify: Callable[[str], None]) -> None:
    """Where keys are required and none is usable, print how to make the first."""
    from service.access import api_keys

    if not settings.keys_required:
        return
    with opened(settings) as database, database.read() as session:
        usable = api_keys.any_usable(session)
    if not usable:
        where = f" --data-dir {shlex.quote(str(data_dir))}" if data_dir is not None else ""
        notify(f"requests need an API key and there is none yet; create one with: espalier keys create NAME{where}")


class _ReadinessProbe:
    """Readiness probe: once the service is ready for jobs, prints one line for programs and a message for the user."""

    def __init__(self, url: str, message: str, greeting: Sequence[str], notify: Callable[[str], None]) -> None:
        import httpx

        self._client: httpx.Client | None = httpx.Client(base_url=url, timeout=_PROBE_SECONDS, trust_env=False)
        self._failed = httpx.HTTPError
        self._message, self._greeting, self._notify = message, greeting, notify
        self._due = 0.0

    def tick(self) -> None:
        """Request ``/readyz``, unless it was ready before or the last request is too recent."""
        if self._client is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PROBE_PAUSE
        try:
            ready = self._client.get("/readyz").status_code == 200
        except self._failed:  # the API has not started
            return
        if ready:
            print(self._message, flush=True)  # the one line on standard output, for programs
            for line in self._greeting:
                self._notify(line)
            self._client.close()
            self._client = None
