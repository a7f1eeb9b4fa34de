"""Check of every row of a split against a task: which rows fit, and which class ids, numbers, labels, tags or answers they have.

The only loop over rows, for the trainer (:mod:`pruning.data.reader`) and, where bad rows are skipped, for the check of a local data
set before a job is accepted (:mod:`pruning.data.local_check`). Torch-free.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pruning.data.answers import check_answer
from pruning.data.bad_rows import BadRows, Reason
from pruning.data.column_profiler import value_kind
from pruning.data.label_sets import parse_row_labels
from pruning.data.labels import check_one_kind, parse_label, same_kind
from pruning.data.tagged_words import check_tags, check_words, require_known_tags
from pruning.errors import PermanentError
from pruning.spec.tasks import Task


@dataclass(frozen=True)
class GivenRows:
    """Columns of a split as they were read: texts (or lists of words), labels as they are written, and the numbers of the rows."""

    texts: tuple[list[Any], ...]
    labels: list[Any]
    """Labels; for a task with ``label_columns`` tuples of their values."""
    numbers: Sequence[int]

    def take(self, positions: Sequence[int]) -> "GivenRows":
        """The rows at these positions; the same object where these are all."""
        if len(positions) == len(self.numbers):
            return self
        texts = tuple([column[i] for i in positions] for column in self.texts)
        return GivenRows(texts, [self.labels[i] for i in positions], [self.numbers[i] for i in positions])


def fitting_rows(rows: GivenRows, task: Task, bad: BadRows) -> tuple[GivenRows, list[Any]]:
    """The rows that fit the task, and what their labels stand for; the others go to ``bad``.

    Raises PermanentError (``rows_invalid``, ``labels_mismatch``) for the first one that does not fit where they are refused."""
    if task.kind == "token-classification":
        return _tagged(rows, task, bad)
    for index, name in enumerate(task.text):
        texts = rows.texts[index]
        kept, _ = bad.fitting(rows.numbers, "text_invalid", lambda i, where: _check_text(texts[i], name, where))  # noqa: B023
        rows = rows.take(kept)
    if task.kind == "span":
        contexts = rows.texts[1]
        return _checked(
            rows,
            bad,
            "answers_invalid",
            lambda i, where: check_answer(rows.labels[i], contexts[i], where, no_answers=task.no_answers),
        )
    if task.kind == "multilabel":
        return _checked(rows, bad, "label_invalid", lambda i, where: parse_row_labels(rows.labels[i], task, where))
    rows, labels = _checked(rows, bad, "label_invalid", lambda i, where: parse_label(rows.labels[i], task, where))
    return _of_one_kind(rows, labels, task, bad)


def _checked(rows: GivenRows, bad: BadRows, reason: Reason, check: Callable[[int, str], Any]) -> tuple[GivenRows, list[Any]]:
    """Rows that pass ``check``, with what it returns; of the others those whose label is null have the reason ``label_missing``."""

    def reason_of(position: int) -> Reason:
        return "label_missing" if rows.labels[position] is None else reason

    kept, found = bad.fitting(rows.numbers, reason_of, check)
    return rows.take(kept), found


def _of_one_kind(rows: GivenRows, labels: list[Any], task: Task, bad: BadRows) -> tuple[GivenRows, list[Any]]:
    """The rows whose labels are texts, numbers or truth values as most are; for kinds with equally many rows, the first one."""
    kinds = [value_kind(label) for label in rows.labels]
    first_rows: dict[str, int] = {}
    for kind, number in zip(kinds, rows.numbers, strict=True):
        first_rows.setdefault(kind, number)
    try:
        check_one_kind(first_rows, task.label, bad.where)
    except PermanentError as fault:
        usual = Counter(map(same_kind, kinds)).most_common(1)[0][0]
        others = [i for i, kind in enumerate(kinds) if same_kind(kind) != usual]
        for position in others:
            bad.reject(rows.numbers[position], "label_mixed", fault)
        kept = sorted(set(range(len(kinds))) - set(others))
        return rows.take(kept), [labels[i] for i in kept]
    return rows, labels


def _tagged(rows: GivenRows, task: Task, bad: BadRows) -> tuple[GivenRows, list[Any]]:
    """Rows with words and tags that are checked; the tags by name."""
    words = rows.texts[0]
    kept, _ = bad.fitting(rows.numbers, "words_invalid", lambda i, where: check_words(words[i], where))
    rows = rows.take(kept)
    given, texts = rows.labels, rows.texts[0]
    rows, tags = _checked(rows, bad, "tags_invalid", lambda i, where: check_tags(given[i], texts[i], task, where))
    if not task.labels:
        return rows, tags
    known = frozenset(task.labels)
    kept, _ = bad.fitting(rows.numbers, "tag_unknown", lambda i, where: require_known_tags(tags[i], known, where, found=False))
    return rows.take(kept), [tags[i] for i in kept]


def _check_text(text: Any, column: str, where: str) -> None:
    if not isinstance(text, str):
        raise PermanentError(f"{where}: column {column!r} is not text", code="rows_invalid", param="task")
