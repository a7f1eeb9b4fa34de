"""Proposals for a task on an uploaded data set: which columns are texts, which one is the label, and what its classes are.

Called by ``api.pages.datasets``, from the column statistics that the API answers an upload with. They fill a form, in which
all of them can be changed; whether they fit the rows is decided when the job is submitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.schemas.datasets import Dataset, DatasetColumn, DatasetSplit
from pruning.spec.custom_task import CustomKind

_LABEL_NAMES = ("label", "labels", "class", "target", "category", "y")
_TRAIN, _VALIDATION = ("train", "training"), ("validation", "valid", "val", "dev", "test")
_NUMBERS = frozenset({"integer", "number"})


@dataclass(frozen=True)
class TaskProposal:
    """Fields of a custom task; empty where the columns are ambiguous."""

    text: tuple[str, ...]
    label: str | None
    classes: tuple[str, ...] | None
    """Names of the classes or labels; None for ids, which count from 0, for more than the API lists, and for a regression."""
    kind: CustomKind
    train_split: str | None
    validation_split: str | None

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> "TaskProposal":
        """Values of all splits: a class may occur in one of them alone."""
        splits = {split.name: split for split in dataset.splits}
        train = next((name for name in _TRAIN if name in splits), next(iter(splits), None))
        validation = next((name for name in _VALIDATION if name in splits and name != train), None)
        columns = splits[train].columns if train is not None else []
        label = _label_of(columns)
        nested = _nested_task(columns)
        if nested is not None:
            return cls(nested[1], nested[2], None, nested[0], train, validation)
        texts = [column for column in columns if column.kinds.keys() == {"text"} and column is not label]
        longer = [column for column in texts if column.values is None] or texts
        kind = _kind_of(label)
        return cls(
            text=tuple(column.name for column in longer[:2]) if len(longer) <= 2 else (longer[0].name,),
            label=label.name if label is not None else None,
            classes=None if label is None or kind == "regression" else _classes(label.name, [*splits.values()]),
            kind=kind,
            train_split=train,
            validation_split=validation,
        )

    def role_of(self, column: str) -> str:
        """Description of a column's proposed role."""
        if column in self.text:
            return "words" if self.kind == "token-classification" else "text"
        if column != self.label:
            return "not used"
        if self.kind == "regression":
            return "label: a number to regress on"
        if self.kind in ("token-classification", "span"):
            return "tags of the words" if self.kind != "span" else "answers"
        if self.kind == "multilabel":
            return f"labels: lists of {len(self.classes)} labels" if self.classes else "labels: lists"
        return f"label: {len(self.classes)} classes" if self.classes else "label: class ids, or more classes than are listed"

    def form_values(self, dataset_id: str) -> Mapping[str, Sequence[str]]:
        """The fields of the form for a new job that it fills."""
        values: dict[str, list[str]] = {
            "task": ["custom"],
            "task.dataset": [dataset_id],
            "task.text": [*self.text],
            "task.label": [self.label or ""],
            "task.kind": [self.kind if self.kind != "classification" else ""],
            "task.labels": ["\n".join(self.classes or ())],
            "task.train_split": [self.train_split or ""],
            "task.validation_split": [self.validation_split or ""],
        }
        return {name: [entry for entry in entries if entry] for name, entries in values.items()}


def _nested_task(columns: Sequence[DatasetColumn]) -> tuple[CustomKind, tuple[str, ...], str] | None:
    """Kind, text columns and label column of tagged words, or of questions on contexts; None for any other data set."""
    tags = [column for column in columns if column.holds == "tags"]
    words = [column for column in columns if column.holds == "words"]
    if len(tags) == len(words) == 1:
        return "token-classification", (words[0].name,), tags[0].name
    answers = [column for column in columns if column.holds == "answers"]
    texts = {column.name for column in columns if column.kinds.keys() == {"text"}}
    if len(answers) == 1 and {"question", "context"} <= texts:
        return "span", ("question", "context"), answers[0].name
    return None


def _kind_of(label: DatasetColumn | None) -> CustomKind:
    if label is None:
        return "classification"
    if _is_lists(label):
        return "multilabel"
    return "regression" if label.kinds.keys() <= _NUMBERS and not _is_classes(label) else "classification"


def _is_lists(column: DatasetColumn) -> bool:
    """Whether its values are lists of few different entries."""
    return column.kinds.keys() == {"other"} and bool(column.entries)


def _label_of(columns: Sequence[DatasetColumn]) -> DatasetColumn | None:
    """A column with a label's name, else the last one of classes, else of lists of labels, else the only one of numbers."""
    named = [column for column in columns if column.name.lower() in _LABEL_NAMES]
    classes = [column for column in columns if _is_classes(column)]
    numbers = [column for column in columns if column.kinds.keys() <= _NUMBERS]
    if named:
        return next((column for column in named if column in classes), named[0])
    if classes and len(columns) > 1:
        return classes[-1]
    lists = [column for column in columns if _is_lists(column)]
    if lists:
        return lists[-1]
    return numbers[0] if len(numbers) == 1 else None


def _is_classes(column: DatasetColumn) -> bool:
    """Whether its values are few and of one kind that labels have."""
    if column.kinds.keys() == {"boolean"}:
        return True
    few = column.values is not None and len(column.values) > 1
    return few and column.kinds.keys() in ({"text"}, {"integer"}) and sum(column.kinds.values()) > len(column.values or ())


def _classes(label: str, splits: Sequence[DatasetSplit]) -> tuple[str, ...] | None:
    columns = [column for split in splits for column in split.columns if column.name == label]
    if any("boolean" in column.kinds for column in columns):
        return ("false", "true")
    if any(_is_lists(column) for column in columns):
        return tuple(dict.fromkeys(str(value) for column in columns for value in column.entries or ()))
    values = dict.fromkeys(value for column in columns for value in column.values or ())
    if all(isinstance(value, int) for value in values):
        ids = sorted(int(value) for value in values)
        return None if ids == [*range(len(ids))] else tuple(map(str, ids))
    return tuple(map(str, values))
