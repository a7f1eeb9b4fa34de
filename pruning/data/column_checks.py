"""Check of a task against the column statistics of a data set, by the trainer's rules, naming the first row that breaks one.

Called at submission: :func:`check_columns` for uploads, whose statistics are stored, :func:`check_split_columns` by
:mod:`pruning.data.local_check`. The rules are those of :mod:`pruning.data.labels` and :mod:`pruning.data.label_sets`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pruning.data.answers import answer_error
from pruning.data.column_profiler import MAX_DISTINCT_VALUES, MAX_VALUE_CHARS
from pruning.data.column_statistics import Column, first_of, first_other_than, first_without_list
from pruning.data.holdout import default_share
from pruning.data.jsonl import missing_column
from pruning.data.label_sets import NOT_A_LIST, parse_indicator, parse_label_set
from pruning.data.labels import check_one_kind, parse_label
from pruning.data.tagged_checks import check_tagged_columns
from pruning.data.tagged_words import unknown_tag
from pruning.data.unfit_rows import require_few_unfit
from pruning.errors import PermanentError, SplitMissingError
from pruning.spec.custom_task import CustomTask
from pruning.spec.tags import OUTSIDE
from pruning.spec.tasks import Task, resolve_task


def check_columns(
    given: CustomTask,
    splits: Mapping[str, list[Column]],
    validation_share: float | None = None,
    bad_rows_limit: float | None = None,
) -> float | None:
    """Refuse a task that an uploaded data set does not fit; the share of the training split that is held out, if any is.

    ``validation_share`` and ``bad_rows_limit`` are the spec's; where bad rows are skipped, the trainer finds them.

    Raises PermanentError (``split_missing``, ``column_missing``, ``rows_invalid``, ``labels_mismatch``, ``too_many_bad_rows``)
    naming the task's field and, where a row is at fault, its number.
    """
    task = resolve_task(given)
    fields = {given.train_split: "train_split"}
    if validation_share is None and given.validation_split not in splits and given.train_split in splits:
        validation_share = default_share(
            resolve_task(given), missing_split(given.dataset, given.validation_split, "task.validation_split", splits)
        )
    if validation_share is None:
        fields |= {given.validation_split: "validation_split"}
    for name, field in fields.items():
        if name not in splits:
            raise missing_split(given.dataset, name, f"task.{field}", splits)
        check_split(task, splits[name], f"split {name!r} of data set {given.dataset}", bad_rows_limit)
    if bad_rows_limit is None:
        check_same_tags(task, {name: splits[name] for name in fields}, f"data set {given.dataset}")
    return validation_share


def check_split(task: Task, found: Sequence[Column], where: str, bad_rows_limit: float | None = None) -> None:
    """Refuse a task whose columns a split lacks, or whose texts or labels its values do not fit; with ``bad_rows_limit`` in more
    than this share of its rows.

    Raises PermanentError (``column_missing``, ``rows_invalid``, ``labels_mismatch``).
    """
    columns = {column.name: column for column in found}
    missing = missing_column(task, columns)
    if missing is not None:
        column, param = missing
        raise PermanentError(
            f"{where} has no column {column!r}; its columns are: {', '.join(columns)}", code="column_missing", param=param
        )
    if bad_rows_limit is None:
        check_split_columns(task, found, where)
    else:
        require_few_unfit(task, found, where, bad_rows_limit)


def check_same_tags(task: Task, splits: Mapping[str, Iterable[Column]], where: str) -> None:
    """Refuse validation rows with tags that the training rows, from which they are found, do not have. Raises PermanentError."""
    if task.kind != "token-classification" or task.labels:
        return
    known: set[str | int | float] = {OUTSIDE}
    for split in (task.train_split, *task.validation_splits):
        if split not in splits:
            continue  # held out of the training rows
        lists = next((column.lists for column in splits[split] if column.name == task.label), None)
        if lists is None or lists.values is None:
            return  # statistics of an earlier version
        if split == task.train_split:
            known |= {found.value for found in lists.values}
        for found in lists.values:
            if found.value not in known:
                raise unknown_tag(str(found.value), f"row {found.first} of split {split!r} of {where}: a tag", found=True)


def missing_split(dataset: str, split: str, param: str, splits: Collection[str]) -> SplitMissingError:
    """The error for a data set without ``split``, naming those that it has."""
    there = sorted(splits)
    return SplitMissingError(
        f"data set {dataset} has no split {split!r}; its splits are: {', '.join(there)}", splits=there, param=param
    )


def check_split_columns(task: Task, found: Iterable[Column], where: str) -> None:
    """Refuse a task whose texts or labels the values of a split do not fit; all its columns must be there.

    Raises PermanentError (``rows_invalid``, ``labels_mismatch``)."""
    columns = {column.name: column for column in found}
    if task.kind == "token-classification":
        check_tagged_columns(columns[task.text[0]], columns[task.label], task, where)
        return
    for index, text in enumerate(task.text):
        _check_text(columns[text], f"task.text.{index}", where)
    if task.kind == "multilabel":
        if task.label_columns:
            for index, name in enumerate(task.label_columns):
                _check_indicators(columns[name], f"task.label_columns.{index}", where)
        else:
            _check_label_lists(columns[task.label], task, where)
    elif task.kind == "span":
        if task.no_answers:
            _check_answers(columns[task.label], task.text[1], where)
    else:
        _check_labels(columns[task.label], task, where)


def _check_text(column: Column, param: str, where: str) -> None:
    if (odd := first_other_than(column.kinds, "text")) is not None:
        row, kind = odd
        raise PermanentError(
            f"row {row} of {where}: column {column.name!r} is not text but {kind}; name a text column",
            code="rows_invalid",
            param=param,
        )


def _check_labels(column: Column, task: Task, where: str) -> None:
    """The trainer's rule (:mod:`pruning.data.labels`), once for each distinct label."""
    wrong = ("null", "other", "boolean") if task.kind == "regression" else ("null", "other")
    if (odd := first_of(column.kinds, wrong)) is not None:
        row, kind = odd
        raise PermanentError(
            f"row {row} of {where}: label column {column.name!r} holds {kind}; give every row a label",
            code="labels_mismatch",
            param="task.label",
        )
    if task.kind == "regression" and "text" not in column.kinds:
        return  # uploads with numbers that are not finite are refused
    if column.values is None:
        raise PermanentError(
            f"label column {column.name!r} of {where} has texts longer than {MAX_VALUE_CHARS} characters or more than "
            f"{MAX_DISTINCT_VALUES} different values; name the column of the labels",
            code="labels_mismatch",
            param="task.label",
        )
    if "boolean" in column.kinds:
        for truth_value in (False, True):
            parse_label(truth_value, task, f"row {column.kinds['boolean'].first} of {where}")
    for found in column.values:
        parse_label(found.value, task, f"row {found.first} of {where}")
    check_one_kind({kind: seen.first for kind, seen in column.kinds.items()}, column.name, where)


def _check_indicators(column: Column, param: str, where: str) -> None:
    """A column of 0 and 1."""
    odd = first_of(column.kinds, ("null", "other", "text"))
    if odd is not None or column.values is None:
        row, kind = odd or (1, "many numbers")
        raise PermanentError(
            f"row {row} of {where}: label column {column.name!r} holds {kind}; give 0 or 1 in every row",
            code="labels_mismatch",
            param=param,
        )
    for found in column.values:
        parse_indicator(found.value, f"row {found.first} of {where}: label column {column.name!r}", param)


def _check_label_lists(column: Column, task: Task, where: str) -> None:
    """A column of lists of labels, each entry once by the trainer's rule."""
    if (plain := first_without_list(column)) is not None:
        row, kind = plain
        raise PermanentError(
            f"row {row} of {where}: label column {column.name!r} holds {kind}; {NOT_A_LIST}",
            code="labels_mismatch",
            param="task.label",
        )
    if column.lists is None:
        return  # statistics of an earlier version do not cover lists: the trainer checks the rows
    if (odd := first_of(column.lists.kinds, ("null", "boolean", "other"))) is not None:
        row, kind = odd
        raise PermanentError(
            f"row {row} of {where}: a list of label column {column.name!r} holds {kind}; give names or ids of labels",
            code="labels_mismatch",
            param="task.label",
        )
    for found in column.lists.values or ():
        parse_label_set([found.value], task, f"row {found.first} of {where}")
    if column.lists.values is None:
        raise PermanentError(
            f"lists of label column {column.name!r} of {where} have texts longer than {MAX_VALUE_CHARS} characters or more than "
            f"{MAX_DISTINCT_VALUES} different values; name the column of the labels",
            code="labels_mismatch",
            param="task.label",
        )


def _check_answers(column: Column, context: str, where: str) -> None:
    """A column of answers that occur in the column ``context``."""
    if (plain := first_other_than(column.kinds, "other")) is not None:
        row, kind = plain
        raise PermanentError(
            f"row {row} of {where}: column {column.name!r} holds {kind} in place of answers, {{text: [...], answer_start: [...]}} "
            "(JSON Lines and Parquet hold them, CSV does not)",
            code="rows_invalid",
            param="task.label",
        )
    found, lists = column.answers, column.lists
    rows = [] if found is None else [found.malformed, found.misplaced.get(context)]
    first = min((row for row in (*rows, lists.first if lists else None) if row is not None), default=None)
    if first is not None:  # statistics of an earlier version do not cover objects and lists: the trainer checks the rows
        raise answer_error(f"row {first} of {where}: column {column.name!r}", no_answers=True, param="task.label")
