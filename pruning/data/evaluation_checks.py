"""Checks of the rows that a finished mask is to be evaluated on: split, columns and labels, by the trainer's rules.

Called by the API before an evaluation is accepted. Torch-free. Refusals name the field of the evaluation: the task is that of the
mask and is fixed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pruning.data.column_checks import check_split, missing_split
from pruning.data.column_statistics import Column
from pruning.data.local_check import check_split_file
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

OTHER_SPLIT = "validation"
"""Default split of a data set other than the task's."""


def check_uploaded_rows(task: Task, split: str, splits: Mapping[str, list[Column]]) -> None:
    """Refuse a split of an uploaded data set. Raises PermanentError naming ``split`` or ``dataset``, and where a row is at fault
    the row."""
    with evaluation_fields():
        if split not in splits:
            raise missing_split(task.dataset, split, "split", splits)
        check_split(task, splits[split], f"split {split!r} of data set {task.dataset}", task.bad_rows_limit)


def check_local_rows(task: Task, split: str, folder: Path, rows: int | None) -> None:
    """Refuse a split of a data set folder, of which ``rows`` will be read, as :func:`check_uploaded_rows` does."""
    with evaluation_fields():
        check_split_file(folder, task, split, rows)


@contextmanager
def evaluation_fields() -> Iterator[None]:
    """Replace the task's field in a refusal by the field of the evaluation that can be changed."""
    try:
        yield
    except PermanentError as refusal:
        if refusal.code == "split_missing":
            refusal.param = "split"
        elif (refusal.param or "").partition(".")[0] in ("task", "label_words"):
            refusal.param = "dataset"
        raise
