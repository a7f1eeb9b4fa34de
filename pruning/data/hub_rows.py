"""Rows of a hub data set: the columns of a task from the files of a split, and labels by the names that the data set gives its ids.

Called by :mod:`pruning.data.reader`. A hub data set may store class ids and name them in its description (a class label feature, in
the card or in a Parquet file); these names decide which class an id is, and contradictions with the task are refused.
"""

import sys
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from pruning.data.bad_rows import BadRows
from pruning.data.files.csv import read_csv
from pruning.data.files.formats import DataFileError, FileFormat, Reader, RowFault, detect_format
from pruning.data.files.jsonl import read_json
from pruning.data.files.parquet import read_parquet
from pruning.data.jsonl import GivenRow, collect_columns
from pruning.errors import PermanentError
from pruning.hub.datasets import HubSplit, class_names_of, download_split
from pruning.spec.tasks import Task
from pruning.spec.verbalizer import first_words
from pruning.spec.wording import listed


def _reader(name: str, columns: Collection[str]) -> Reader:
    if name.lower().removesuffix(".gz").endswith(".json"):
        return read_json
    kind = detect_format(name)
    if kind is FileFormat.PARQUET:
        return partial(read_parquet, only=columns)
    return read_csv if kind is FileFormat.CSV else read_json


def read_hub_split(
    task: Task, split: str, limit: int | None, token: str | None, bad: BadRows
) -> tuple[dict[str, list[Any]], list[int], tuple[str, ...], tuple[str, ...]]:
    """The task's columns of one split, the numbers of its rows, the names of its class ids (or none), and what was decided.

    ``bad`` collects or refuses the rows that cannot be read. Raises PermanentError (also ``column_missing``, ``rows_invalid``) or
    TemporaryError as ``download_split`` says.
    """
    found = download_split(task, split, token)
    said: dict[str, list[str]] = {}
    rows = chain.from_iterable(_rows(task, name, file, said) for name, file in found.files.items())
    columns, numbers = collect_columns(rows, task.columns, limit, bad)
    classes = _class_names(task, found)
    notes = [f"rows of {task.dataset} at commit {found.commit}, from {', '.join(found.files)}"]
    notes += [f"{name}: {note}" for name, decided in said.items() for note in decided]
    if classes:
        notes.append(f"the data set names its classes {_numbered(classes)}")
    return columns, numbers, classes, tuple(notes)


def name_labels(labels: list[Any], names: Sequence[str], task: Task, where: str) -> list[Any]:
    """Labels as class names where the data set names its ids and the task has names, too.

    Raises PermanentError (``labels_mismatch``) where the data set's names contradict the task."""
    if not names or task.kind not in ("classification", "multilabel"):
        return labels
    classes = task.classes
    ours = _aligned(task.labels, names)
    in_order = _aligned(first_words(task.label_words), names)
    if task.labels is None and in_order is not None and in_order != tuple(range(classes)):
        raise _contradiction(task, names, where, "label_words has the same names in another order")
    if len(names) != classes or (task.labels is not None and ours is None):
        raise _contradiction(task, names, where, f"the task has {listed(task.class_names)}")
    if task.labels is None or ours is None:
        return labels
    to_ours = {theirs: task.labels[index] for index, theirs in enumerate(ours)}
    by_name = {names[theirs]: name for theirs, name in to_ours.items()}
    return [_renamed(label, to_ours, by_name) for label in labels]


def name_tags(labels: list[Any], names: Sequence[str]) -> list[Any]:
    """Lists of tags with the data set's ``names`` in place of its ids, where it names them."""
    by_id = dict(enumerate(names))
    return [_renamed(label, by_id, {}) for label in labels] if names else labels


def _renamed(label: Any, by_id: dict[int, str], by_name: dict[str, str]) -> Any:
    if isinstance(label, list):
        return [_renamed(entry, by_id, by_name) for entry in label]
    if isinstance(label, str):
        return by_name.get(label, label)
    known = isinstance(label, int) and label in by_id
    return by_id[label] if known else label


def _aligned(ours: Sequence[str] | None, theirs: Sequence[str]) -> tuple[int, ...] | None:
    """For each of the task's names its id in the data set, by exact spelling, else ignoring case; None if the names differ."""
    for fold in (str, str.casefold):
        folded, wanted = [fold(name) for name in theirs], [fold(name) for name in ours or ()]
        if len(set(folded)) == len(folded) and sorted(folded) == sorted(wanted):
            return tuple(folded.index(name) for name in wanted)
    return None


def _contradiction(task: Task, names: Sequence[str], where: str, ours: str) -> PermanentError:
    return PermanentError(
        f"{where}: the data set names its classes {_numbered(names)}, and {ours}; give these names as labels, in any order",
        code="labels_mismatch",
        param="task" if not task.labels else "task.labels",
    )


def _numbered(names: Sequence[str]) -> str:
    return listed([f"{index} = {name}" for index, name in enumerate(names)])


def _class_names(task: Task, found: HubSplit) -> tuple[str, ...]:
    """Names of the class ids, from the schema of the first Parquet file read, else from the data set's card."""
    name, file = next(iter(found.files.items()))
    stored = _stored_class_names(file) if name.endswith(".parquet") else {}
    return stored.get(task.label) or found.class_names.get(task.label, ())


def _stored_class_names(file: Path) -> dict[str, tuple[str, ...]]:
    """Names of class ids by column, from the features that the library which wrote a Parquet file left in its schema."""
    from datasets import Features  # 0.7 s that local data sets do not need
    from pyarrow import ArrowException, parquet

    try:
        return class_names_of(Features.from_arrow_schema(parquet.read_schema(file)))
    except (ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # not a note of that library, or a damaged one: the ids stay ids


def _rows(task: Task, name: str, file: Path, said: dict[str, list[str]]) -> Iterator[GivenRow]:
    where, number = f"{name} of data set {task.dataset!r}", 0
    reader = _reader(name, dict.fromkeys(task.columns))
    try:
        with file.open("rb") as opened:
            for number, row in enumerate(reader(opened, sys.maxsize, said.setdefault(name, [])), 1):
                if isinstance(row, RowFault):
                    yield number, where, _invalid(task, f"row {number} of {name} {row.detail}")
                else:
                    yield number, where, row
    except (OSError, DataFileError) as fault:
        raise _invalid(task, f"{name} cannot be read after row {number}: {fault}") from fault


def _invalid(task: Task, fault: str) -> PermanentError:
    return PermanentError(f"data set {task.dataset!r}: {fault}", code="rows_invalid", param="task")
