"""A run's exports, made by a process of its own once the masks are written: whatever becomes of it, the masks stand.

Called by :mod:`pruning.training.finalize`. The process is ``python -m pruning export``; what it says is passed on, and what
it did not come to, because it crashed or ran out of memory, is told in ``exports.json`` and by a warning.
"""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from pruning.errors import StoppedError
from pruning.events import ArtifactEvent, ErrorEvent, EventSink, FinishedEvent, LogEvent, parse_line
from pruning.export import results
from pruning.sources import Sources
from pruning.spec.export_formats import Format

_POLL_SECONDS = 0.2


def make_exports(
    formats: Sequence[Format],
    mask: Path,
    model: Path,
    sources: Sources,
    emit: EventSink,
    should_stop: Callable[[], bool],
) -> Path:
    """Make the exports of ``mask``, on the base in the folder ``model``, beside the mask; path of their ``exports.json``.

    Raises StoppedError, with the process ended, once ``should_stop`` says so.
    """
    reason = "the process that made the exports ended early"
    with subprocess.Popen(
        _command(formats, mask, model, sources), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker; PIPE was given
        try:
            for line in _lines(process.stdout, should_stop):
                reason = _hear(line, emit) or reason
        except BaseException:
            process.kill()
            raise
        code = process.wait()
    return _complete(formats, mask.parent, reason if code >= 0 else f"{reason} (signal {-code})", emit)


def _command(formats: Sequence[Format], mask: Path, model: Path, sources: Sources) -> list[str]:
    command = [sys.executable, "-m", "pruning", "export", "--mask", str(mask), "--model", str(model)]
    command += ["--out", str(mask.parent), "--archive", "--watch-stdin"]
    for format_ in formats:
        command += ["--to", format_]
    for option, path in (
        ("--datasets-dir", sources.datasets_dir),
        ("--uploads-dir", sources.uploads_dir),
        ("--token-file", sources.token_file),
    ):
        command += [option, str(path)] if path is not None else []
    return command if sources.hub else [*command, "--no-hub"]


def _lines(output: IO[bytes], should_stop: Callable[[], bool]) -> Iterator[bytes]:
    """Whole lines, as they come. Raises StoppedError."""
    pending = b""
    while True:
        if should_stop():
            raise StoppedError
        if not select.select([output], [], [], _POLL_SECONDS)[0]:
            continue
        read = os.read(output.fileno(), 65536)
        if not read:
            return
        *lines, pending = (pending + read).split(b"\n")
        yield from lines


def _hear(line: bytes, emit: EventSink) -> str | None:
    """Pass an event on; what an error event says instead."""
    try:
        event = parse_line(line)
    except ValidationError:  # its standard output is for events alone, so this is a line cut off by its end
        return None
    if isinstance(event, ErrorEvent):
        return event.message
    if not isinstance(event, FinishedEvent) and not (isinstance(event, ArtifactEvent) and event.name == results.FILE):
        emit(event)
    return None


def _complete(formats: Sequence[Format], folder: Path, reason: str, emit: EventSink) -> Path:
    """``exports.json`` with an entry for every format asked for."""
    found = results.read(folder)
    entries = list(found.exports) if found else []
    made = {one.format for one in entries}
    missing = [format_ for format_ in dict.fromkeys(formats) if format_ not in made]
    for format_ in missing:
        emit(LogEvent(level="warning", message=f"there is no export {format_}: {reason}"))
    entries += [results.failed(format_, "export_failed", reason) for format_ in missing]
    return results.write(folder, found.threads if found else 0, entries)
