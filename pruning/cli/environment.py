"""Process environment of the commands: sources from arguments, quick imports, threads that sleep when idle, quiet libraries, the
watchdog.

Called by every command of ``python -m pruning``, and by ``espalier export`` for :func:`silence_libraries`.
"""

import argparse
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pruning.errors import PermanentError
from pruning.events import ExitCode
from pruning.processes.parent_watchdog import exit_with_parent
from pruning.sources import Sources


def sources_from_arguments(arguments: argparse.Namespace) -> Sources:
    """Where models and data sets are looked up, from a command's arguments. Raises PermanentError."""
    token = None
    if arguments.token_file is not None:
        try:
            token = arguments.token_file.read_text("utf-8").strip()
        except OSError as fault:
            raise PermanentError(f"the hub token cannot be read: {fault.strerror}", code="token_unreadable") from fault
    return Sources(
        arguments.models_dir,
        arguments.datasets_dir,
        hub=not arguments.no_hub,
        token=token,
        token_file=arguments.token_file,
        uploads_dir=arguments.work / "uploads" if arguments.command == "train" else getattr(arguments, "uploads_dir", None),
        init_mask=getattr(arguments, "init_mask", None),
        token_cache=getattr(arguments, "token_cache", None),
        token_cache_bytes=getattr(arguments, "token_cache_bytes", 0),
        hub_model_bytes=arguments.hub_model_bytes,
    )


def use_passive_threads() -> None:
    """Let idle threads sleep. By default they spin, and where another process wants the core each small operation then
    stalls for milliseconds: six steps took 70 s instead of 9 s on two contended cores. Read when torch is first loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def quick_imports() -> Iterator[None]:
    """Modules are imported in this block without garbage collections, which find nothing there, and no later one traverses them.

    Collections took a fifth of the processor time of a program that imports torch and transformers.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def silence_libraries() -> None:
    """No progress bars on standard error, of which a supervisor keeps the last lines for the user to read.

    Before ``datasets`` is imported, which takes a second and is not always needed.
    """
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging

    disable_progress_bars()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the report of unused tensors; missing ones we refuse
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def watch_stdin() -> None:
    """End this process, with its checkpoints left in place, when the supervisor at the other end of standard input ends."""
    threading.Thread(target=exit_with_parent, args=(ExitCode.STOPPED,), name="watch-stdin", daemon=True).start()
