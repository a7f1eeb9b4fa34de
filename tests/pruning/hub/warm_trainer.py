"""Trainers forked from a process that has torch and transformers loaded; at their import these read the address of a hub."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pruning.events import parse_line
from tests.fake_hub import FakeHub, serving
from tests.pruning.runs import ROOT, ProgramExit, become_the_program


class WarmTrainer:
    """The process, and the port of its hub, which refuses connections where no hub is served.

    All of its trainers have one cache: a test has models whose names no other test has.
    """

    def __init__(self, folder: Path, process: "subprocess.Popen[str]", port: int) -> None:
        self._folder, self._process, self._port = folder, process, port
        self._forks = 0

    def serving(self, hub: FakeHub) -> AbstractContextManager[FakeHub]:
        """Serve ``hub`` until the end of the block."""
        return serving(hub, self._port)

    def run(self, arguments: Sequence[str]) -> ProgramExit:
        """``python -m pruning`` with these arguments; every line of its output must be an event."""
        code, out, err = self._fork(arguments, "")
        return ProgramExit(code, [parse_line(line) for line in out.encode().splitlines(keepends=True)], err)

    def ask(self, code: str) -> list[Any]:
        """The lines of JSON that Python code prints, which must end without an error."""
        status, out, err = self._fork([], f"{code}\nraise SystemExit(0)")
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def _fork(self, arguments: Sequence[str], before: str) -> tuple[int, str, str]:
        self._forks += 1
        out, err = (self._folder / f"{self._forks}.{name}" for name in ("out", "err"))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([list(arguments), str(out), str(err), before]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline()), out.read_text(), err.read_text()


@contextmanager
def warm_trainer(folder: Path, environment: Mapping[str, str]) -> Iterator[WarmTrainer]:
    """The process, until the end of the block."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a hub listens on it, too
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.pruning.hub.warm_trainer"],
            cwd=ROOT,
            env={**environment, "HF_ENDPOINT": f"http://127.0.0.1:{port}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:  # closes its standard input, at which it ends
            yield WarmTrainer(folder, process, port)


def main() -> None:
    """Fork for each line of JSON, [arguments, file of stdout, file of stderr, code to run first], and print the exit code."""
    import datasets  # noqa: F401 - loaded before the forks

    for line in sys.stdin:
        arguments, out, err, before = json.loads(line)
        child = os.fork()
        if child == 0:
            become_the_program(arguments, out, err, before)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
