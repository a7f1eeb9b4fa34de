"""A file of rows in place of a task: read, split in train and validation rows, uploaded, and made a custom task.

Called by ``espalier run`` and ``espalier submit``. The file is read by the service's own readers, so what is accepted is the same;
errors name the row of the user's file. Rows with the same text are on the same side of the split.
"""

import gzip
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from espalier.cli.data_files import Row, read_rows
from espalier.cli.output import notify
from espalier.cli.progress import fetching

if TYPE_CHECKING:
    from espalier.client._sync.client import Client

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".gz")
_SEED = 0
"""Seed of the split: the same file always gives the same data set."""
_VALIDATION_SHARE, _MOST_VALIDATION_ROWS = 0.2, 5000
"""A fifth of the rows is for validation; more rows would not improve the estimate noticeably."""
_MOST_CLASSES = 5000
"""Most classes of a task."""
_FEW_CLASSES = 100
"""More classes need two rows each: a column with mostly distinct values does not hold labels."""


@dataclass(frozen=True)
class RowsFile:
    """The rows of a file, and which columns hold what."""

    path: Path
    rows: Sequence[Row]
    text: Sequence[str]
    label: str

    @classmethod
    def read(cls, path: Path, text: Sequence[str], label: str | None) -> "RowsFile":
        """Read and check every row. Raises typer.BadParameter naming the row or the option at fault."""
        rows = _read(path)
        columns = list(rows[0])
        label = label or "label"
        _require_column(label, columns, "--label", path)
        texts = list(text) or [column for column in columns if column != label]
        if not text and len(texts) != 1:
            raise typer.BadParameter(f"name the column with the text: {', '.join(columns)}", param_hint="--text")
        for column in texts:
            _require_column(column, columns, "--text", path)
        for number, row in enumerate(rows, 1):
            if not all(isinstance(row.get(column), str) for column in texts):
                raise typer.BadParameter(f"row {number} of {path} has no text in {' and '.join(texts)}")
            if row.get(label) in (None, ""):
                raise typer.BadParameter(f"row {number} of {path} has nothing in {label}; give every row a label")
        return cls(path, rows, texts, label)

    @property
    def is_regression(self) -> bool:
        """Whether the labels are numbers and not all of them whole ones."""
        values = [row[self.label] for row in self.rows]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return numbers and any(float(value) != int(value) for value in values)

    @property
    def is_multilabel(self) -> bool:
        """Whether every row has a list of labels."""
        return all(isinstance(row[self.label], list) for row in self.rows)

    def classes(self) -> list[str]:
        """Names of the classes: the different labels, numbers by size; of all lists. Raises typer.BadParameter."""
        values = {value for row in self.rows for value in self._labels(row)}
        most = min(_MOST_CLASSES, max(_FEW_CLASSES, len(self.rows) // 2))
        if not (1 if self.is_multilabel else 2) <= len(values) <= most:
            too_many = f"over {most}, too many for classes of {len(self.rows)} rows"
            what = "nothing to distinguish" if len(values) < 2 else too_many
            raise typer.BadParameter(f"{self.label} has {len(values)} different values: {what}", param_hint="--label")
        return [_class_name(value) for value in sorted(values, key=_order)]

    def _labels(self, row: Row) -> list[Any]:
        """The labels of a row as single values. Raises typer.BadParameter for values that are not labels."""
        labels = row[self.label] if self.is_multilabel else [row[self.label]]
        odd = next((label for label in labels if not isinstance(label, str | int | float)), None)
        if odd is not None:
            raise typer.BadParameter(
                f"{self.label} holds {odd!r:.100}; give every row a label, or every row a list of labels", param_hint="--label"
            )
        return list(labels)

    def split(self) -> tuple[list[Row], list[Row]]:
        """Train and validation rows, with the needed columns alone: a fifth of the texts of each class, at least one."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row[column] for column in self.text), []).append(row)
        by_class: dict[str, list[tuple[str, ...]]] = {}
        for texts, same in groups.items():
            by_class.setdefault("" if self.is_regression else _class_name(same[0][self.label]), []).append(texts)
        chosen: set[tuple[str, ...]] = set()
        share = min(_VALIDATION_SHARE, _MOST_VALIDATION_ROWS / len(self.rows))
        for _, members in sorted(by_class.items()):
            random.Random(_SEED).shuffle(members)  # noqa: S311 - a split, no secret
            chosen.update(members[: max(1, round(share * len(members)))] if len(members) > 1 else [])
        if not chosen or len(chosen) == len(groups):
            raise typer.BadParameter(f"{self.path} has {len(groups)} different texts, too few to train and to validate on")
        sides: tuple[list[Row], list[Row]] = ([], [])
        for texts, same in groups.items():
            sides[texts in chosen].extend(self._needed(row) for row in same)
        return sides

    def _needed(self, row: Row) -> Row:
        label = row[self.label]
        if self.is_multilabel:
            label = [_class_name(value) for value in label]
        elif not self.is_regression:
            label = _class_name(label)
        return {name: row[name] for name in self.text} | {self.label: label}

    def upload(self, client: "Client") -> dict[str, Any]:
        """Upload both sides; the custom task on them. Raises typer.BadParameter, and what the client raises."""
        fields: dict[str, Any] = {"kind": "regression", "label_words": ["Yes"]}  # as in the catalog for STS-B
        if not self.is_regression:
            fields = {"labels": self.classes()} | ({"kind": "multilabel"} if self.is_multilabel else {})
        train, validation = self.split()
        with tempfile.TemporaryDirectory(prefix="espalier-") as folder, fetching(self.path.name) as report:
            files = [
                _write(Path(folder) / f"{name}.jsonl.gz", rows) for name, rows in (("train", train), ("validation", validation))
            ]
            made = client.upload_dataset(name=self.path.name[:100], report=report, train=files[0], validation=files[1])
        notify(f"data set {made.id}: {len(train)} rows to train on, {len(validation)} for validation, split by text")
        named = (_class_name(label) for row in self.rows for label in self._labels(row))
        counts = Counter(named) if "labels" in fields else {}
        if counts:
            from pruning.spec.wording import listed

            notify(f"{len(counts)} classes: {listed([f'{name} ({counts[name]} rows)' for name in fields['labels']])}")
        return {"dataset": made.id, "text": list(self.text), "label": self.label, **fields}


def is_rows_file(task: str | None) -> bool:
    """Whether what is given as a task is a file of rows. Raises typer.BadParameter for one that does not exist."""
    if task is None or task.lstrip().startswith("{") or not task.lower().endswith(_ENDINGS):
        return False
    if not Path(task).is_file():
        raise typer.BadParameter(f"no file {task}", param_hint="TASK")
    return True


def _read(path: Path) -> list[Row]:
    notes: list[str] = []
    with path.open("rb") as file:
        rows = list(read_rows(file, str(path), notes))
    for note in notes:
        notify(f"{path.name}: {note}")
    return rows


def _require_column(name: str, columns: Sequence[str], option: str, path: Path) -> None:
    if name not in columns:
        raise typer.BadParameter(f"{path} has no column {name!r}; it has {', '.join(columns)}", param_hint=option)


def _write(path: Path, rows: Sequence[Row]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return path


def _class_name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _order(value: Any) -> tuple[bool, Any]:
    return (True, value) if isinstance(value, str) else (False, value)
