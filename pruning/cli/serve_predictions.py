"""``python -m pruning serve-predictions``: a JSON line in, a JSON line out, until standard input ends.

Started by :mod:`api.predictions`, which may not load torch itself. A line ``{"key", "mask", "weights", "model", "texts", "pairs"}``
on standard input (``key`` names the content of the mask file, ``model`` the folder of its base model where that is no name of a
directory or the hub) is answered by ``{"predictions": [...]}`` or
``{"error": {"kind", "code", "message", "param"}}`` on standard output. The program also ends after ``--idle-seconds`` without
a request.
"""

import argparse
import json
import os
import queue
import resource
import sys
import threading

from pruning.cli.environment import quick_imports, silence_libraries, sources_from_arguments, use_passive_threads
from pruning.events import ExitCode


def run_serve_predictions(arguments: argparse.Namespace) -> ExitCode:
    """The ``serve-predictions`` command."""
    use_passive_threads()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries goes to standard error
    lines = _request_lines()
    with quick_imports():
        from pruning.inference.model_cache import ModelCache

        silence_libraries()
    if arguments.memory_bytes is not None:  # allocations beyond it fail before the machine runs out of memory
        resource.setrlimit(resource.RLIMIT_DATA, (arguments.memory_bytes, arguments.memory_bytes))
    cache = ModelCache(sources_from_arguments(arguments), arguments.masks)
    while True:
        try:
            line = lines.get(timeout=arguments.idle_seconds)
        except queue.Empty:
            return ExitCode.OK
        out.write(json.dumps(cache.respond(json.loads(line))) + "\n")
        out.flush()


def _request_lines() -> "queue.Queue[bytes]":
    """Lines of standard input, read by a thread of its own: when the input ends the program exits at once, also in the middle of a
    request."""
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(ExitCode.OK)

    threading.Thread(target=read, name="read-lines", daemon=True).start()
    return lines
