"""Rows of a split as columns, from the data sets directory or the hub, checked against the task.

Called by :mod:`pruning.training.setup`, by exports and by the evaluation of a mask.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from pruning.data.bad_rows import BadRows
from pruning.data.holdout import held_out_rows
from pruning.data.hub_rows import name_labels, name_tags, read_hub_split
from pruning.data.iob import entities, ordered_tags
from pruning.data.jsonl import find_dataset, find_split, read_columns
from pruning.data.label_sets import describe_label_sets
from pruning.data.labels import describe_classes
from pruning.data.row_checks import GivenRows, fitting_rows
from pruning.data.tagged_words import require_known_tags
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
    """Token classification: the words of each row, from which its text is joined; None for other kinds."""
    notes: tuple[str, ...] = ()
    """Messages for the run's log on decisions made while reading, above all which label is which class."""
    numbers: Sequence[int] = ()
    """Number of each row, from 1, in the split as it is given; none: they count from 1 without a gap."""
    bad: BadRows | None = None
    """Rows that were skipped of the split as it is given; of rows held out, what is found after the reading, as their training rows
    have the rest. None for rows that were not read."""

    tags: tuple[str, ...] = ()
    """Token classification with held-out rows: the tags of the whole training split, so that no held-out row has others."""

    def number_of(self, position: int) -> int:
        """Number of the row at a position, from 1, in the split as it is given."""
        return self.numbers[position] if self.numbers else position + 1

    def take(self, positions: Sequence[int]) -> "Rows":
        """The rows at these positions, in their order."""
        return replace(
            self,
            texts=tuple([column[i] for i in positions] for column in self.texts),
            labels=[self.labels[i] for i in positions],
            words=None if self.words is None else [self.words[i] for i in positions],
            numbers=[self.number_of(i) for i in positions],
        )


def load_rows(task: Task, split: str, sources: Sources, limit: int | None = None) -> Rows:
    """The named columns of a split: from the data sets directory if the task has a folder there, else from the hub.

    Where the task holds rows out, the training split is the rest of its rows and the validation split the rows held out. Class
    names become class ids. Raises PermanentError (missing split or column, unreadable row with its number, ``too_many_bad_rows``
    where bad ones are skipped) or TemporaryError (``hub_unreachable``).
    """
    if task.validation_share is None or split not in (task.train_split, *task.validation_splits):
        return _read(task, split, sources, limit)
    rows = _read(task, task.train_split, sources, None)
    classes = rows.labels if task.kind == "classification" else None
    chosen = held_out_rows(len(rows.labels), classes, task.validation_share)
    trains, held_out = split == task.train_split, set(chosen)
    positions = [i for i in range(len(rows.labels)) if i not in held_out] if trains else chosen
    note = (
        f"{len(chosen):,} of the {len(rows.labels):,} rows of split {task.train_split!r} are held out for validation "
        f"(validation_share {task.validation_share:g})"
    )
    bad = rows.bad if trains else BadRows(f"split {split!r} of task {task.name!r}", task.bad_rows_limit, len(chosen))
    tags = ordered_tags(chain.from_iterable(rows.labels)) if task.kind == "token-classification" else ()
    return replace(rows.take(positions[:limit]), split=split, notes=(*rows.notes, note), bad=bad, tags=tags)


def _read(task: Task, split: str, sources: Sources, limit: int | None) -> Rows:
    folder = find_dataset(sources, task.name)
    public = sources.token is None if folder is None else find_folder(sources.uploads_dir, task.name) is None
    where = f"split {split!r} of task {task.name!r}"
    bad = BadRows(where, task.bad_rows_limit)
    if folder is None and sources.hub:
        columns, numbers, names, notes = read_hub_split(task, split, limit, sources.token, bad)
    else:
        names, notes = (), ()
        if folder is None:
            folder = require_folder(sources.datasets_dir, task.name, kind="dataset", param="task")
        columns, numbers = read_columns(find_split(folder, split), task.columns, limit, bad)
    if not bad.read:
        raise PermanentError(f"{where} has no rows", code="rows_missing", param="task")
    targets: list[Any] = [columns[name] for name in task.targets]
    if task.kind in ("classification", "multilabel"):
        targets[0] = name_labels(targets[0], names, task, where)
    elif task.kind == "token-classification":
        targets[0] = name_tags(targets[0], names)
    written = [*zip(*targets, strict=True)] if task.label_columns else targets[0]
    given, labels = fitting_rows(GivenRows(tuple(columns[name] for name in task.text), written, numbers), task, bad)
    bad.require_few()
    notes = (*notes, *_describe(given, labels, task))
    if task.kind != "token-classification":
        return Rows(given.texts, labels, split, public, notes=notes, numbers=given.numbers, bad=bad)
    joined = [" ".join(row) for row in given.texts[0]]
    return Rows((joined,), labels, split, public, given.texts[0], notes, given.numbers, bad)


def unlabelled_rows(texts: Sequence[list[Any]], task: Task, split: str) -> Rows:
    """Rows of texts to predict on, one list per text column, with placeholder labels.

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


def with_known_tags(rows: Rows, task: Task, tags: Sequence[str]) -> Rows:
    """Rows of token classification that have no tags but these, found in the training split; the others are bad rows.

    Raises PermanentError (``labels_mismatch``) for the first of them where they are refused, else ``too_many_bad_rows``."""
    bad, known = rows.bad or BadRows(f"split {rows.split!r} of task {task.name!r}"), frozenset(tags)
    kept, _ = bad.fitting(
        [rows.number_of(i) for i in range(len(rows.labels))],
        "tag_unknown",
        lambda i, where: require_known_tags(rows.labels[i], known, where, found=True),
    )
    bad.require_few()
    return rows if len(kept) == len(rows.labels) else rows.take(kept)


def _describe(given: GivenRows, labels: list[Any], task: Task) -> tuple[str, ...]:
    """Sentences on the meaning of the labels."""
    if task.kind == "multilabel":
        return (describe_label_sets(labels, task),)
    if task.kind == "token-classification":
        counts = Counter(entity.type for row in labels for entity in entities(row))
        described = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
        return (f"{sum(map(len, given.texts[0]))} words; entities: {described}",)
    # the type is part of the key, because 1, 1.0 and true are equal
    distinct = {(type(label), label): label for label in given.labels} if task.kind == "classification" else {}
    described = describe_classes(distinct.values(), task)
    return (described,) if described else ()
