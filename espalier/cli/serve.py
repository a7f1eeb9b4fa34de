"""``espalier serve``: the whole service on one machine, everything under one data folder.

Migrates the database, then keeps two processes running: the API (uvicorn) and one Celery worker with as many slots as
asked for. The only file of this package that knows the service's own packages.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli.children import Child, Children
from espalier.cli.listen import bind, refuse_beyond_loopback, url_of
from espalier.cli.output import fail, say
from espalier.errors import EspalierError

if TYPE_CHECKING:
    from jobs.settings import Settings

_MARGIN_SECONDS = 15.0
"""What the worker needs beyond its trainers' grace to hand their jobs back and leave."""
_PROBE_SECONDS = 2.0
_PROBE_PAUSE = 0.2


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, on this machine only for now.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for everything the service keeps.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Jobs to run at the same time.")] = None,
) -> None:
    """Run the service: API, worker, database, in one data folder. Stop it with Ctrl-C.

    Settings come from ESPALIER_… variables; options win over them. Example: espalier serve --port 0 --workers 2
    """
    settings = _settings(host=host, port=port, data_dir=data_dir, worker_slots=workers)
    if (reason := refuse_beyond_loopback(settings.host)) is not None:
        fail(reason, code=2)
    with bind(settings.host, settings.port) as listening:
        _migrate(settings)
        environment = os.environ | _overrides(settings) | {"PYTHONUNBUFFERED": "1"}
        descriptor = listening.fileno()
        children = [
            Child(
                "API", [sys.executable, "-m", "espalier.cli.api_process", str(descriptor)], environment, (descriptor,)
            ),
            Child("worker", _worker_command(settings), environment),
        ]  # fmt: skip
        _run(Children(children, say), url_of(listening), settings)


def _run(children: Children, url: str, settings: "Settings") -> None:
    """Until SIGINT or SIGTERM; a second one does not wait for the trainers."""
    stopping, hurry = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        (hurry if stopping.is_set() else stopping).set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    probe = _Probe(url, f"Espalier listens on {url} (data in {settings.data_dir})")
    try:
        children.keep(stopping, probe.tick)
    finally:
        say("Espalier stops: running jobs save their work and continue at the next start")
        children.stop(settings.term_grace_seconds + _MARGIN_SECONDS, hurry)


class _Probe:
    """Says so, once, when the service is ready for jobs."""

    def __init__(self, url: str, message: str) -> None:
        import httpx

        self._client: httpx.Client | None = httpx.Client(base_url=url, timeout=_PROBE_SECONDS, trust_env=False)
        self._failed = httpx.HTTPError
        self._message = message
        self._due = 0.0

    def tick(self) -> None:
        """Ask ``/readyz`` unless it has answered already or was asked a moment ago."""
        if self._client is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _PROBE_PAUSE
        try:
            ready = self._client.get("/readyz").status_code == 200
        except self._failed:  # not up yet
            return
        if ready:
            print(self._message, flush=True)
            self._client.close()
            self._client = None


def _settings(**given: object) -> "Settings":
    """The environment's settings with the options over them; what is wrong with them ends the program."""
    from pydantic import ValidationError

    from jobs.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors()
        )
        fail(f"settings cannot be used: {faults}", code=2)


def _overrides(settings: "Settings") -> dict[str, str]:
    """What the children must see as this process does, whatever their environment says."""
    names = ("host", "port", "data_dir", "worker_slots", "database_url", "broker_url")
    return {f"ESPALIER_{name.upper()}": str(getattr(settings, name)) for name in names}


def _worker_command(settings: "Settings") -> list[str]:
    return [
        sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "worker", "--pool", "threads",
        "--concurrency", str(settings.worker_slots), "--loglevel", "INFO",
        "--without-gossip", "--without-mingle", "--without-heartbeat",  # this worker talks to the database, not to others
    ]  # fmt: skip


def _migrate(settings: "Settings") -> None:
    """Raises EspalierError; the database's errors have many classes, and all of them end the program."""
    from jobs.db import upgrade

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        upgrade(settings.database_url)
    except Exception as error:
        raise EspalierError(f"the database cannot be prepared: {error}") from error
