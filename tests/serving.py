"""Services on real sockets: an ASGI application by a thread of the test, and ``espalier serve`` as a process."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from tests.processes import ModuleProcess
from tests.waiting import wait_until


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, what="uvicorn")
    try:
        port: int = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def espalier_serve(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Its address, on a free port; it must stop at SIGTERM. ``folder`` has ``models`` and ``datasets``."""
    environment = {
        "ESPALIER_MODELS_DIR": str(folder / "models"),
        "ESPALIER_DATASETS_DIR": str(folder / "datasets"),
        "ESPALIER_TRAINER_THREADS": "1",
        **environment,
    }
    arguments = ["espalier.cli", "serve", "--port", "0", "--data-dir", str(folder / "data")]
    with ModuleProcess(arguments, environment, folder / "logs", "serve") as serve:
        line = serve.wait_for_line("Espalier listens on", seconds=90)
        yield line.split("listens on ")[1].split()[0]
        serve.process.terminate()
        assert serve.wait(60) == 0
