"""Prefork server: forks programs from a process that has imported their modules already.

The programs have their own arguments, environment and signals, without the second of processor time that each would spend on
its imports. ``python -m tests.faults.prefork_server`` is the server: it reads one JSON object per line (what to start), forks, and
writes one line per start and per exit. ``PreforkServer`` is its client, ``ForkedProcess`` the handle of one program.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.processes import ROOT, state
from tests.waiting import wait_until

PRELOADED = (
    "celery.apps.worker",
    "celery.concurrency.thread",
    "kombu.transport.redis",
    "kombu.transport.filesystem",
    "psycopg",
    "uvicorn.__main__",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.h11_impl",
    "api.app",
    "worker.run.supervisor",
    "worker.maintenance.maintainer",
    "alembic.command",
)


class ForkedProcess:
    """One program, in a session of its own."""

    def __init__(self, prefork_server: "PreforkServer", pid: int, out: Path) -> None:
        self.pid = pid
        self._server, self._out = prefork_server, out

    @property
    def exit_code(self) -> int | None:
        """Its exit code as subprocess has it, once it has ended."""
        return self._server.exit_codes.get(self.pid)

    @property
    def output(self) -> str:
        """Both outputs so far."""
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped and not continued."""
        return state(self.pid) == "T"

    def signal(self, number: signal.Signals) -> None:
        """To this process alone."""
        if self.exit_code is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code, once it has left."""
        wait_until(
            lambda: self.exit_code is not None, seconds=seconds, what=lambda: f"the end of {self._out.name}: {self.output[-2000:]}"
        )
        assert self.exit_code is not None
        return self.exit_code

    def kill(self) -> None:
        """At once."""
        self.signal(signal.SIGKILL)
        self.wait()


class PreforkServer:
    """The server process; everything it started is killed at the end of the block."""

    def __init__(self) -> None:
        self.exit_codes: dict[int, int] = {}
        self._pids: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def start(self, module: str, arguments: Sequence[str], environment: Mapping[str, str], out: Path) -> ForkedProcess:
        """``python -m module arguments``."""
        out.parent.mkdir(parents=True, exist_ok=True)
        assert self._process.stdin is not None
        known = len(self._pids)
        request = {"module": module, "arguments": list(arguments), "environment": dict(environment), "out": str(out)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        wait_until(lambda: len(self._pids) > known, what=f"the start of {module}")
        return ForkedProcess(self, self._pids[known], out)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "code" in message:
                self.exit_codes[message["pid"]] = message["code"]
            else:
                self._pids.append(message["pid"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for pid in self._pids:
            if pid not in self.exit_codes:
                os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Fork on demand until standard input ends. One thread only, or forking would not be safe."""
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # no program traverses, and so copies, what all of them share
    gc.enable()
    rest = b""
    while True:
        ready = select.select([0], [], [], 0.02)[0]
        if ready:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _report(pid=_fork(json.loads(line)))
        while _reap():
            pass


def _reap() -> bool:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    if pid:
        _report(pid=pid, code=os.waitstatus_to_exitcode(status))
    return bool(pid)


def _report(**message: int) -> None:
    os.write(1, (json.dumps(message) + "\n").encode())


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    os.environ.update(request["environment"])
    sys.argv = [request["module"], *request["arguments"]]
    code: Any = 1
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the last frame of the program
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
