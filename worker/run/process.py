"""Trainer process: the command lines that train, export and evaluate, and the process with its deadline.

Called by ``worker.run.preparation`` and ``worker.run.supervisor``. A trainer cannot outlive its worker, for three reasons: the
kernel kills it with the thread that started it; its standard input, of which the worker holds the other end, closes; and when
the worker is frozen, the deadline of the trainer is not extended.
"""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pruning.processes.bootstrap import python_command
from pruning.processes.child import ChildProcess
from service.settings import Settings
from worker.files.trainer_access import tokens_folder


def trainer_command(
    settings: Settings, spec: Path, work: Path, token_file: Path | None = None, exports: Sequence[str] = ()
) -> list[str]:
    """The command line that trains ``spec``; tests put another program in its place."""
    arguments = ["--spec", str(spec), "--work", str(work), "--watch-stdin"]
    if settings.token_cache_bytes:
        arguments += ["--token-cache", str(tokens_folder(settings.data_dir))]
        arguments += ["--token-cache-bytes", str(settings.token_cache_bytes)]
    arguments += _source_options(settings, token_file)
    for name in exports:
        arguments += ["--export", name]
    return python_command("pruning", "train", *arguments)


def export_command(
    settings: Settings, mask: Path, work: Path, token_file: Path | None = None, exports: Sequence[str] = ()
) -> list[str]:
    """The command line that exports a ``mask`` which exists already; it replaces that of the trainer."""
    arguments = ["--mask", str(mask), "--out", str(work / "artifacts"), "--archive"]
    arguments += ["--uploads-dir", str(work / "uploads"), "--watch-stdin", *_source_options(settings, token_file)]
    for name in exports:
        arguments += ["--to", name]
    return python_command("pruning", "export", *arguments)


def evaluation_command(
    settings: Settings, mask: Path, evaluation: Mapping[str, Any], work: Path, token_file: Path | None = None
) -> list[str]:
    """The command line that evaluates a ``mask`` which exists already."""
    arguments = ["--mask", str(mask), "--out", str(work / "artifacts")]
    arguments += ["--uploads-dir", str(work / "uploads"), "--watch-stdin", *_source_options(settings, token_file)]
    for name in ("dataset", "config", "split", "rows"):
        if evaluation.get(name) is not None:
            arguments.append(f"--{name}={evaluation[name]}")  # one word: a name may begin with a dash
    if evaluation.get("dense"):
        arguments.append("--dense")
    return python_command("pruning", "evaluate", *arguments)


def _source_options(settings: Settings, token_file: Path | None) -> list[str]:
    """Arguments for the locations of models and data sets."""
    options: list[str] = []
    if settings.models_dir is not None:
        options += ["--models-dir", str(settings.models_dir)]
    if settings.datasets_dir is not None:
        options += ["--datasets-dir", str(settings.datasets_dir)]
    if not settings.hub_enabled:
        options.append("--no-hub")
    options += ["--hub-model-bytes", str(settings.hub_model_bytes)]
    if token_file is not None:
        options += ["--token-file", str(token_file)]
    return options


class TrainerProcess(ChildProcess):
    """A running trainer, which exits once its deadline has passed.

    Made, used and ended by one thread, which must live as long; :meth:`extend_deadline` may be called by any.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], nice: int = 0, user: tuple[int, int] | None = None
    ) -> None:
        """Start the process. Raises OSError when it cannot be started."""
        super().__init__(command, environment, stderr=subprocess.PIPE, nice=nice, user=user)

    def extend_deadline(self, until: float) -> None:
        """Let the trainer run until ``until`` by ``time.monotonic()``, when the lease ends.

        If this worker freezes, the trainer exits before another worker may need its device.
        """
        self.write_now(f"{max(0.0, until - time.monotonic()):.3f}\n".encode())
