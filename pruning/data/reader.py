"""Rows of a split as columns, from the data sets directory or the hub, checked against the task.

Called by :mod:`pruning.training.setup`, by exports and by the evaluation of a mask.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pruning.data.answers import check_answers
from pruning.data.column_profiler import value_kind
from pruning.data.holdout import held_out_rows
from pruning.data.hub_rows import name_labels, name_tags, read_hub_split
from pruning.data.iob import entities
from pruning.data.jsonl import find_dataset, find_split, read_columns
from pruning.data.label_sets import describe_label_sets, parse_label_sets
from pruning.data.labels import check_one_kind, describe_classes, parse_label
from pruning.data.tagged_words import check_tags, check_words, require_known_tags
from pruning.errors import PermanentError
from pruning.hub.local import find_folder, require_folder
from pruning.sources import Sources
from pruning.spec.tags import OUTSIDE
from pruning.spec.tasks import Task


@dataclass(frozen=True)
class Rows:
    """Columns of a split, as read."""

    texts: tuple[list[str], ...]
    """One list per text column."""
    labels: list[Any]
    """Class ids, numbers, lists of label ids (multilabel) or of tags (token classification), or SQuAD's answers."""
    split: str
    public: bool = False
    """Whether all jobs may read the rows, so that their tokens may be cached: neither uploaded nor fetched with a token."""
    words: list[list[str]] | None = None
    """Of token classification the words of each row, which its text is joined from; None for other kinds."""
    notes: tuple[str, ...] = ()
    """What was decided on reading, in words for the run's log: above all which label is which class."""


def load_rows(task: Task, split: str, sources: Sources, limit: int | None = None) -> Rows:
    """The named columns of a split: from the data sets directory if the task has a folder there, else from the hub.

    Where the task holds rows out, the training split is the rest of its rows and the validation split the rows held out. Class
    names become class ids. Raises PermanentError (missing split or column, unreadable row with its number) or TemporaryError
    (``hub_unreachable``).
    """
    if task.validation_share is None or split not in (task.train_split, *task.validation_splits):
        return _read(task, split, sources, limit)
    rows = _read(task, task.train_split, sources, None)
    classes = rows.labels if task.kind == "classification" else None
    chosen = held_out_rows(len(rows.labels), classes, task.validation_share)
    held_out = set(chosen)
    numbers = [i for i in range(len(rows.labels)) if i not in held_out] if split == task.train_split else chosen
    numbers = numbers[:limit]
    note = (
        f"{len(chosen):,} of the {len(rows.labels):,} rows of split {task.train_split!r} are held out for validation "
        f"(validation_share {task.validation_share:g})"
    )
    texts = tuple([column[i] for i in numbers] for column in rows.texts)
    words = None if rows.words is None else [rows.words[i] for i in numbers]
    labels = [rows.labels[i] for i in numbers]
    return replace(rows, texts=texts, labels=labels, words=words, split=split, notes=(*rows.notes, note))


def _read(task: Task, split: str, sources: Sources, limit: int | None) -> Rows:
    folder = find_dataset(sources, task.name)
    public = sources.token is None if folder is None else find_folder(sources.uploads_dir, task.name) is None
    if folder is None and sources.hub:
        columns, names, notes = read_hub_split(task, split, limit, sources.token)
    else:
        names, notes = (), ()
        if folder is None:
            folder = require_folder(sources.datasets_dir, task.name, kind="dataset", param="task")
        columns = read_columns(find_split(folder, split), task.columns, limit)
    targets = [columns[name] for name in task.targets]
    rows = Rows(tuple(columns[name] for name in task.text), targets[0], split, public, notes=notes)
    where = f"split {split!r} of task {task.name!r}"
    if task.kind == "token-classification":
        return _with_tags(replace(rows, labels=name_tags(rows.labels, names)), task, where)
    _check_texts(rows, task, where)
    if task.kind == "span":
        check_answers(rows.labels, rows.texts[1], where, no_answers=task.no_answers)
        return rows
    targets[0] = name_labels(targets[0], names, task, where)
    if task.kind == "multilabel":
        labels = parse_label_sets(targets, task, where)
        return replace(rows, labels=labels, notes=(*rows.notes, describe_label_sets(labels, task)))
    return _with_classes(replace(rows, labels=targets[0]), task, where)


def unlabelled_rows(texts: Sequence[list[Any]], task: Task, split: str) -> Rows:
    """Rows of texts to predict on, one list per text column, with labels that say nothing.

    For token classification each text is a list of words, or a ``str`` that is cut at blanks.
    """
    if task.kind == "token-classification":
        words = [text.split() if isinstance(text, str) else list(text) for text in texts[0]]
        joined = [" ".join(row) for row in words]
        return Rows((joined,), [[OUTSIDE] * len(row) for row in words], split, words=words)
    nothing: Any = 0
    if task.kind == "span":
        nothing = {"text": [""], "answer_start": [0]}
    elif task.kind == "multilabel":
        nothing = []
    return Rows(tuple(texts), [nothing] * len(texts[0]), split)


def _with_tags(rows: Rows, task: Task, where: str) -> Rows:
    """The rows with words and tags that are checked; the tags by name."""
    if not rows.labels:
        raise PermanentError(f"{where} has no rows", code="rows_missing", param="task")
    words = [check_words(row, f"row {number} of {where}") for number, row in enumerate(rows.texts[0], 1)]
    pairs = enumerate(zip(rows.labels, words, strict=True), 1)
    tags = [check_tags(row, its, task, f"row {number} of {where}") for number, (row, its) in pairs]
    if task.labels:
        require_known_tags(tags, task.labels, where, found=False)
    counts = Counter(entity.type for row in tags for entity in entities(row))
    described = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
    note = f"{sum(map(len, words))} words; entities: {described}"
    joined = [" ".join(row) for row in words]
    return replace(rows, texts=(joined,), labels=tags, words=words, notes=(*rows.notes, note))


def _with_classes(rows: Rows, task: Task, where: str) -> Rows:
    parsed = [parse_label(label, task, f"row {i + 1} of {where}") for i, label in enumerate(rows.labels)]
    first_rows: dict[str, int] = {}
    for number, label in enumerate(rows.labels, 1):
        first_rows.setdefault(value_kind(label), number)
    check_one_kind(first_rows, task.label, where)
    # by kind as well: 1, 1.0 and true are equal
    distinct = {(type(label), label): label for label in rows.labels} if task.kind == "classification" else {}
    described = describe_classes(distinct.values(), task)
    return replace(rows, labels=parsed, notes=(*rows.notes, described) if described else rows.notes)


def _check_texts(rows: Rows, task: Task, where: str) -> None:
    if not rows.labels:
        raise PermanentError(f"{where} has no rows", code="rows_missing", param="task")
    for column, texts in zip(task.text, rows.texts, strict=True):
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise PermanentError(
                    f"row {i + 1} of {where}: column {column!r} is not text", code="rows_invalid", param="task"
                )
