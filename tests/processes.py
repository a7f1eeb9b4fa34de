"""Real processes in tests: process states, and Python modules run until a block ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent


def state(pid: int) -> str:
    """The letter that proc(5) explains, e.g. T for a stopped process; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return state(pid) not in ("", "Z")


def group_members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, pgrp = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(folder.name))
    return found


def children(pid: int) -> list[int]:
    """Living processes that ``pid`` started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(folder.name))
    return found


class CommandProcess:
    """A command with its output in files; killed when the block ends."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        name: str,
        descriptors: Sequence[int] = (),
        cwd: Path = ROOT,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=descriptors,
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        """Standard output so far."""
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    def signal(self, number: signal.Signals) -> None:
        """To this process alone."""
        self.process.send_signal(number)

    def wait_for_line(self, words: str, seconds: float = 30) -> str:
        """The first line, on either output, that contains ``words``."""

        def found() -> str | None:
            lines = (self.stdout + self.stderr).splitlines()
            return next((line for line in lines if words in line), None)

        def told_or_gone() -> str | None:
            line = found()
            assert line or self.process.poll() is None, f"it ended ({self.process.returncode}): {self.stdout}{self.stderr}"
            return line

        line = wait_until(told_or_gone, seconds=seconds, what=words)
        assert line is not None
        return line

    def wait(self, seconds: float = 30) -> int:
        """Its exit code, once it has left."""
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class ModuleProcess(CommandProcess):
    """``python -m …`` in the repository."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, name: str, descriptors: Sequence[int] = ()
    ) -> None:
        super().__init__([sys.executable, "-m", *arguments], environment, folder, name, descriptors)
