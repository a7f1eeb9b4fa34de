"""Label sets of multi-label rows: the ids that a list of names or ids stands for, or that one 0/1 column per label says.

The only implementation of the rule, for the API (on the distinct entries of a column, before a job is accepted) and for the trainer
(on every row); what a name or id means is that of :mod:`pruning.data.labels`. Torch-free.
"""

from collections.abc import Sequence
from typing import Any

from pruning.data.labels import parse_label
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

NOT_A_LIST = (
    "give every row a list of its labels, which may be empty (JSON Lines and Parquet hold lists, CSV does not), or name one column "
    "of 0 and 1 per label in label_columns"
)


def parse_label_set(value: Any, task: Task, where: str) -> list[int]:
    """Ascending ids of the labels that a row's list names, by name or by id; ``where`` names the row in messages.

    Raises PermanentError (``labels_mismatch``) for a value that is not a list, and for a label that the task does not have.
    """
    if not isinstance(value, list):
        raise PermanentError(f"{where}: {value!r:.100} is not a list of labels; {NOT_A_LIST}", code="labels_mismatch", param="task")
    odd = next((label for label in value if isinstance(label, bool) or not isinstance(label, str | int | float)), None)
    if odd is not None:
        raise PermanentError(
            f"{where}: the list holds {odd!r:.100}; give names or ids of labels", code="labels_mismatch", param="task"
        )
    return sorted({int(parse_label(label, task, where)) for label in value})


def parse_indicator(value: Any, where: str, param: str = "task") -> bool:
    """Whether a row has the label of a column of 0 and 1. Raises PermanentError (``labels_mismatch``) for any other value."""
    if not isinstance(value, int | float) or value not in (0, 1):
        raise PermanentError(f"{where}: {value!r:.100} is neither 0 nor 1", code="labels_mismatch", param=param)
    return bool(value)


def parse_row_labels(value: Any, task: Task, where: str) -> list[int]:
    """The label ids of a row: from its list, or from a tuple with its value in each of ``label_columns``."""
    if not task.label_columns:
        return parse_label_set(value, task, where)
    return [
        index
        for index, (name, indicator) in enumerate(zip(task.label_columns, value, strict=True))
        if parse_indicator(indicator, f"{where}: label column {name!r}")
    ]


def describe_label_sets(rows: Sequence[Sequence[int]], task: Task) -> str:
    """Sentence on how often each label occurs."""
    counts = [sum(index in row for row in rows) for index in range(task.classes)]
    shown = [f"{name} in {count} rows" for name, count in zip(task.class_names[:20], counts, strict=False)]
    more = f" and {len(counts) - 20} more" if len(counts) > 20 else ""
    return f"labels: {', '.join(shown)}{more}; {sum(not row for row in rows)} rows have none"
