"""Check of the columns of words and tags of a token classification against their statistics, by the trainer's rules.

Called by :mod:`pruning.data.column_checks`; the rules for rows are those of :mod:`pruning.data.tagged_words`.
"""

from pruning.data.column_profiler import MAX_DISTINCT_VALUES
from pruning.data.column_statistics import Column, Lists, first_other_than, first_without_list
from pruning.data.tagged_words import unknown_tag
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

_WORDS = "give every row a list of words (JSON Lines and Parquet hold lists, CSV does not)"
_TAGS = "give every row a list with one tag per word"


def check_tagged_columns(words: Column, tags: Column, task: Task, where: str) -> None:
    """Refuse columns that do not hold words and their tags; what an earlier version stored of lists is left to the trainer.

    Raises PermanentError (``rows_invalid``, ``labels_mismatch``) naming the first row at fault.
    """
    listed = _lists_of(words, where, f"words, {_WORDS}", "rows_invalid", "task.text.0")
    listed_tags = _lists_of(tags, where, f"tags, {_TAGS}", "labels_mismatch", "task.label")
    if listed is None or listed_tags is None:
        return
    _check_words(words.name, listed, where)
    _check_tags(tags.name, listed_tags, task, where)
    row = listed.unequal.get(tags.name)
    if row is not None:
        raise PermanentError(
            f"row {row} of {where}: columns {words.name!r} and {tags.name!r} have lists of different lengths; {_TAGS}",
            code="labels_mismatch",
            param="task.label",
        )


def _lists_of(column: Column, where: str, wanted: str, code: str, param: str) -> Lists | None:
    if (plain := first_without_list(column)) is not None:
        row, kind = plain
        raise PermanentError(
            f"row {row} of {where}: column {column.name!r} holds {kind} in place of lists of {wanted}", code=code, param=param
        )
    return column.lists


def _check_words(name: str, lists: Lists, where: str) -> None:
    odd = [(seen.first, f"a list with {kind}") for kind, seen in lists.kinds.items() if kind != "text"]
    odd += [(row, what) for row, what in ((lists.empty, "an empty list"), (lists.blank, "an empty word")) if row is not None]
    if odd:
        row, what = min(odd)
        raise PermanentError(
            f"row {row} of {where}: column {name!r} holds {what}; {_WORDS}", code="rows_invalid", param="task.text.0"
        )


def _check_tags(name: str, lists: Lists, task: Task, where: str) -> None:
    if (odd := first_other_than(lists.kinds, "text", "integer")) is not None:
        row, kind = odd
        raise PermanentError(
            f"row {row} of {where}: a list of tags in column {name!r} holds {kind}; {_TAGS}",
            code="labels_mismatch",
            param="task.label",
        )
    if lists.not_iob2 is not None:
        fault = lists.not_iob2
        raise PermanentError(
            f"row {fault.row} of {where}: tag {fault.position} of column {name!r}, {fault.fault}",
            code="labels_mismatch",
            param="task.label",
        )
    if lists.values is None:
        raise PermanentError(
            f"lists of column {name!r} of {where} have over {MAX_DISTINCT_VALUES} different tags; name the column of the tags",
            code="labels_mismatch",
            param="task.label",
        )
    labels = task.labels or ()
    for found in lists.values:
        text = isinstance(found.value, str)
        if (labels and text and found.value not in labels) or (not text and not 0 <= found.value < len(labels)):  # type: ignore[operator]  # integers
            raise unknown_tag(str(found.value), f"row {found.first} of {where}: a tag", found=False)
