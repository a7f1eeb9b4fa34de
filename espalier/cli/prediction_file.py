"""Predictions of a whole file: its rows are checked, predicted on in order, and written with their predictions. Called

by ``espalier predict --file``. The output gets its name when its last row is written.
"""

import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol

import typer

from espalier.cli.data_files import Row, read_rows
from espalier.cli.output import fail, notify
from espalier.cli.progress import counting

if TYPE_CHECKING:
    from espalier.client.models import Prediction
    from espalier.client.prediction_rows import PredictedRow, TextColumns

STREAM = "-"
_JSONL, _SEPARATORS = (".jsonl", ".ndjson"), {".csv": ",", ".tsv": "\t"}
_ADDED = "prediction"
"""Column of the output with the prediction; in CSV the prefix of several columns."""
Predict = Callable[[Iterable[Row]], "Iterator[PredictedRow]"]


@dataclass(frozen=True)
class PredictionFile:
    """An input with checked rows, and the output of their predictions."""

    file: BinaryIO
    name: str
    output: Path | None
    """None: JSON Lines on standard output."""
    rows: int
    columns: tuple[str, ...]
    """Columns of all rows, in the order in which they first occur."""

    def write(self, predict: Predict) -> None:
        """Predict on every row and write it, with a bar on a terminal. Raises what ``predict`` raises, and OSError."""
        from pruning.files import atomic_write

        with ExitStack() as stack:
            if self.output is None:
                stream: IO[str] = sys.stdout
            else:
                draft = stack.enter_context(atomic_write(self.output))
                stream = stack.enter_context(draft.open("w", encoding="utf-8", newline=""))
            writer = self._writer(stream)
            count = stack.enter_context(counting(self.name, self.rows))
            for done in predict(read_rows(self.file, self.name, [])):
                writer.write(dict(done.row), _fields(done.prediction))
                count(done.number)
            stream.flush()

    def _writer(self, stream: IO[str]) -> "_Writer":
        separator = _SEPARATORS.get(self.output.suffix.lower()) if self.output is not None else None
        return _JsonLines(stream) if separator is None else _Csv(stream, self.columns, separator)


@contextmanager
def open_rows(given: str, output: str | None) -> "Iterator[Callable[[TextColumns], PredictionFile]]":
    """A function that checks every row of the file ``given`` for the columns of a task; ``-`` is JSON Lines on standard input.

    Raises typer.BadParameter for files that cannot be read or written, before any request to a service.
    """
    target = _checked_output(given, output)
    with ExitStack() as stack:
        if given == STREAM:
            name = "standard input.jsonl"
            file: BinaryIO = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(sys.stdin.buffer, file)  # it is read twice
        else:
            name = given
            try:
                file = stack.enter_context(Path(given).open("rb"))
            except OSError as error:
                raise typer.BadParameter(f"{given} cannot be read: {error.strerror}", param_hint="--file") from error

        def check(columns: "TextColumns") -> PredictionFile:
            return _check(file, name, target, columns)

        yield check


def _checked_output(given: str, output: str | None) -> Path | None:
    if output in (None, STREAM):
        return None
    path = Path(str(output))
    if path.suffix.lower() not in (*_JSONL, *_SEPARATORS):
        known = ", ".join((*_JSONL, *_SEPARATORS))
        raise typer.BadParameter(f"{path} has none of the endings {known}", param_hint="--output")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"{path} must be a file in a folder that exists", param_hint="--output")
    if given != STREAM and path.exists() and Path(given).exists() and path.samefile(given):
        raise typer.BadParameter(f"{path} is the input; give another name", param_hint="--output")
    return path


def _check(file: BinaryIO, name: str, output: Path | None, texts: "TextColumns") -> PredictionFile:
    from espalier.errors import RowError

    columns: dict[str, None] = {}
    notes: list[str] = []
    number = 0
    for number, row in enumerate(read_rows(file, name, notes), 1):
        try:
            texts.text_of(row, number)
            json.dumps(row, allow_nan=False)
        except RowError as error:
            raise typer.BadParameter(f"{name}: {error}", param_hint="--file") from error
        except (ValueError, RecursionError) as error:
            reason = "holds a number that is not finite, or is nested too deeply"
            raise typer.BadParameter(f"{name}: row {number} {reason}", param_hint="--file") from error
        columns |= dict.fromkeys(row)
    taken = next((column for column in columns if column == _ADDED or column.startswith(f"{_ADDED}.")), None)
    if taken is not None:
        reason = f"{name} has a column {taken!r} already, where predictions are written; rename it"
        raise typer.BadParameter(reason, param_hint="--file")
    for note in notes:
        notify(f"{name}: {note}")
    return PredictionFile(file, name, output, number, tuple(columns))


def by_mask(mask: Path, models_dir: Path | None) -> "tuple[TextColumns, Predict]":
    """The columns of a mask's task, and its predictions on this machine. Raises PruningError, ImportError."""
    from dataclasses import asdict

    from espalier.client.models import Prediction
    from espalier.client.prediction_rows import PredictedRow, RequestSize, TextColumns
    from espalier.inference.loading import load_pruned
    from pruning.errors import PruningError

    pruned = load_pruned(mask, models_dir=models_dir)
    task = pruned.info.spec.task_info
    columns = TextColumns.from_task(task.text, task.kind)

    def predict(rows: Iterable[Row]) -> "Iterator[PredictedRow]":
        numbered = (columns.text_of(row, number) for number, row in enumerate(rows, 1))
        for batch in RequestSize().batches(numbered):
            texts: list[Any] = [each.text for each in batch]
            pairs = [second for _, second in texts] if len(columns.names) == 2 else None
            try:
                found = pruned.predictions([first for first, _ in texts] if pairs else texts, pairs)
            except PruningError as error:
                fail(f"rows {batch[0].number} to {batch[-1].number}: {error.message} ({error.code})", code=1)
            for each, prediction in zip(batch, found, strict=True):
                yield PredictedRow(each.number, each.row, Prediction.model_validate(asdict(prediction)))

    return columns, predict


def _fields(prediction: "Prediction") -> dict[str, Any]:
    return prediction.model_dump(exclude_none=True)


class _Writer(Protocol):
    def write(self, row: Row, prediction: dict[str, Any]) -> None: ...


class _JsonLines:
    """A JSON object a line: the row, with its prediction in ``prediction``."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: Row, prediction: dict[str, Any]) -> None:
        print(json.dumps({**row, _ADDED: prediction}, ensure_ascii=False), file=self._stream)


class _Csv:
    """The columns of the file and one more for each field of a prediction, ``prediction.label``; lists and objects are JSON."""

    def __init__(self, stream: IO[str], columns: tuple[str, ...], separator: str) -> None:
        self._columns = columns
        self._writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        self._fields: tuple[str, ...] = ()

    def write(self, row: Row, prediction: dict[str, Any]) -> None:
        if not self._fields:
            self._fields = tuple(prediction)  # all rows of a task have the same
            self._writer.writerow([*self._columns, *(f"{_ADDED}.{name}" for name in self._fields)])
        values = [*(row.get(name) for name in self._columns), *(prediction.get(name) for name in self._fields)]
        self._writer.writerow([_cell(value) for value in values])


def _cell(value: Any) -> Any:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
