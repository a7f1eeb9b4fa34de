"""Exports of a run, made by a child process once the masks are written, so that no failure of an export costs the masks.

Called by :mod:`pruning.training.finalize`. The child is ``python -m pruning export``; its events are emitted as this process's
own. An export that it did not make, because it crashed or ran out of memory, gets an entry in ``exports.json`` and a warning.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from pruning.errors import StoppedError
from pruning.events import ArtifactEvent, ErrorEvent, EventSink, FinishedEvent, LogEvent, parse_line
from pruning.export import results
from pruning.processes.bootstrap import python_command
from pruning.processes.child import ChildProcess, format_exit
from pruning.processes.pipe_lines import PipeLines
from pruning.sources import Sources
from pruning.spec.export_formats import Format

_POLL_SECONDS = 0.2


def make_exports(
    formats: Sequence[Format], mask: Path, model: Path, sources: Sources, emit: EventSink, should_stop: Callable[[], bool]
) -> Path:
    """Make the exports of ``mask``, on the base in the folder ``model``, next to the mask; path of their ``exports.json``.

    Raises StoppedError, with the process ended, once ``should_stop`` says so.
    """
    reason = "the process that made the exports ended early"
    with ChildProcess(_command(formats, mask, model, sources), own_session=False) as process:
        for line in _event_lines(process.stdout, should_stop):
            reason = _forward(line, emit) or reason
        code = process.wait() or 0
    return _complete(formats, mask.parent, reason if code >= 0 else f"{reason} ({format_exit(code)})", emit)


def _command(formats: Sequence[Format], mask: Path, model: Path, sources: Sources) -> list[str]:
    command = python_command("pruning", "export", "--mask", str(mask), "--model", str(model))
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


def _event_lines(output: IO[bytes], should_stop: Callable[[], bool]) -> Iterator[bytes]:
    """Whole lines, as they come. Raises StoppedError."""
    lines = PipeLines(output)
    while True:
        if should_stop():
            raise StoppedError
        read = lines.read(_POLL_SECONDS)
        if read is None:
            return
        yield from read


def _forward(line: bytes, emit: EventSink) -> str | None:
    """Emit the event of a line; the message where it is an error."""
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
    entries += [results.failed_entry(format_, "export_failed", reason) for format_ in missing]
    return results.write(folder, found.threads if found else 0, entries)
