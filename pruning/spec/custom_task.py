"""Custom task: named columns of the user's own data, what is predicted from them, and its checks.

Part of a spec; :mod:`pruning.spec.tasks` turns it into the same record as a task by name. Torch-free.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pruning.spec.errors import spec_error
from pruning.spec.tags import OUTSIDE, is_tag
from pruning.spec.verbalizer import ClassName, ClassWords, several_words

TaskKind = Literal["classification", "regression", "multilabel", "token-classification", "span"]
CustomKind = TaskKind
CustomMetric = Literal[
    "accuracy", "f1", "matthews", "pearson", "spearman", "micro_f1", "macro_f1", "precision", "recall", "token_accuracy", "exact"
]
Metric = CustomMetric | Literal["exact_match"]
METRICS_OF_KIND: dict[TaskKind, tuple[CustomMetric, ...]] = {
    "classification": ("accuracy", "f1", "matthews"),
    "regression": ("pearson", "spearman"),
    "multilabel": ("micro_f1", "macro_f1"),
    "token-classification": ("f1", "precision", "recall", "token_accuracy"),
    "span": ("f1", "exact"),
}
"""Metrics that a custom task of each kind may name; the first one is the default."""
_WORDLESS = ("multilabel", "token-classification")
"""Kinds of tasks whose labels have no words of the vocabulary; all of their metrics are reported."""
_SPAN_WORDS = ("Yes", "No")
"""Words whose logits are those of start and end, as in the reference's SQuAD."""
DatasetName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=200)
]
SplitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
MAX_CLASSES = 5000
"""Classes of a task; as many distinct values of a label column are kept."""


def propose_words(labels: Sequence[str]) -> tuple[str, ...]:
    """One word of each class name, the last or (where these collide, as in ``not_equivalent``) the first, else the names where
    each is one word (``C++``); empty where no word distinguishes them."""
    parts = [re.split(r"[\W_]+", label.strip("_ ")) for label in labels]
    for position in (-1, 0):
        words = tuple(part[position] for part in parts)
        if all(words) and len(set(words)) == len(words):
            return words
    single = all(not any(map(str.isspace, label)) and any(map(str.isalnum, label)) for label in labels)
    return tuple(labels) if single else ()


class CustomTask(BaseModel):
    """A task on the user's own data: which columns to read and what to predict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetName = Field(
        description="Id of an uploaded data set, folder under the data sets directory, or data set on the hub"
    )
    config: str | None = Field(None, max_length=100, description="Configuration of a hub data set")
    text: tuple[ColumnName, ...] = Field(
        min_length=1,
        max_length=2,
        description="One or two text columns, in order; token-classification: the column with the lists of words; "
        "span: question and context",
    )
    label: ColumnName = Field(
        "label",
        description="Column with the class id (0, 1, ...), the number to regress on, the list of a row's labels (multilabel), "
        "of its words' IOB2 tags (token-classification) or answers in SQuAD's form, {text: [...], answer_start: [...]} (span)",
    )
    label_columns: tuple[ColumnName, ...] | None = Field(
        None, min_length=1, max_length=200, description="multilabel: one column of 0 and 1 per label, in place of label"
    )
    kind: CustomKind = Field(
        "classification",
        description="Whether a row has one of several classes, a number, any number of labels (multilabel), a tag for each of "
        "its words (token-classification), or an answer that occurs in its context or none (span)",
    )
    metric: CustomMetric | None = Field(
        None,
        description="Metric that names the result; default accuracy, pearson (regression), micro_f1 (multilabel), f1 of "
        "entities (token-classification) or f1 of answers (span)",
    )
    labels: tuple[ClassName, ...] | None = Field(
        None,
        min_length=1,
        max_length=MAX_CLASSES,
        description="Class names in class-id order; needed where the label column holds names instead of ids, and for "
        "multilabel, where label_columns are their default; token-classification: its tags, by default those of the training "
        "split. With head classifier they suffice",
    )
    label_words: tuple[ClassWords, ...] = Field(
        (),
        max_length=MAX_CLASSES,
        description="Words of each class, one or a list, in class-id order (regression: one word), for head label-words; default "
        "from labels",
    )
    train_split: SplitName = Field("train", description="Split that is trained on")
    validation_split: SplitName = Field("validation", description="Split that the metrics are measured on")

    @model_validator(mode="before")
    @classmethod
    def _repeat(cls, given: Any) -> Any:
        """Columns as labels, and labels in place of words, for the kinds that have none."""
        if not isinstance(given, dict):
            return given
        given = {name: value for name, value in given.items() if name != "label_words" or value is not None}
        if given.get("kind") == "multilabel" and given.get("labels") is None and given.get("label_columns"):
            given["labels"] = given["label_columns"]
        if given.get("kind") == "span" and not given.get("label_words"):
            given["label_words"] = _SPAN_WORDS
        if given.get("kind") in _WORDLESS and not given.get("label_words") and isinstance(given.get("labels"), list | tuple):
            given["label_words"] = given["labels"]
        return given

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        """Refuse duplicate class names, which would silently merge two classes."""
        twice = next((name for name, count in Counter(self.labels or ()).items() if count > 1), None)
        if twice is not None:
            raise spec_error("task.labels", "labels names {name} twice; give every class a name of its own", name=repr(twice))
        return self

    @model_validator(mode="after")
    def _fits_multilabel(self) -> Self:
        """Labels of a multilabel task have names and no words, and a column each or one for all."""
        columns = self.label_columns or ()
        if self.kind != "multilabel":
            if columns:
                raise spec_error(
                    "task.label_columns",
                    "a {kind} has one label column; name it in label, or set kind to multilabel",
                    kind=self.kind,
                )
            return self
        twice = next((name for i, name in enumerate(columns) if name in columns[:i] or name in self.text), None)
        if twice is not None:
            raise spec_error("task.label_columns", "column {name} is named twice; name each column once", name=repr(twice))
        if not self.labels:
            raise spec_error("task.labels", "a multilabel task needs labels: the names of all labels, in the order of their ids")
        if columns and len(columns) != len(self.labels):
            raise spec_error(
                "task.labels",
                "labels has {got} names and label_columns {columns} columns; give one name per column",
                got=len(self.labels),
                columns=len(columns),
            )
        if self.label_words != self.labels:
            raise spec_error("task.label_words", "a multilabel task has no label words, only labels; leave label_words out")
        return self

    @model_validator(mode="after")
    def _fits_token_classification(self) -> Self:
        """One column of words, and tags in place of label words; where none are named, those of the training split."""
        if self.kind != "token-classification":
            return self
        if len(self.text) != 1:
            raise spec_error("task.text", "token-classification reads one column, the lists of words; name one")
        bad = next((tag for tag in self.labels or () if not is_tag(tag)), None)
        if bad is not None:
            raise spec_error("task.labels", "{tag} is not an IOB2 tag; give O, B-type and I-type", tag=repr(bad))
        if self.labels is not None and (OUTSIDE not in self.labels or len(self.labels) < 2):
            raise spec_error("task.labels", "labels need O, the tag of words outside of entities, and at least one other tag")
        if self.label_words != (self.labels or ()):
            raise spec_error("task.label_words", "a token-classification has no label words, only tags; leave label_words out")
        return self

    @model_validator(mode="after")
    def _fits_span(self) -> Self:
        """Question and context, and two words: the logits of start and end."""
        if self.kind != "span":
            return self
        if len(self.text) != 2:
            raise spec_error("task.text", "a span task reads two columns, question and context in this order; name both")
        if self.labels is not None:
            raise spec_error("task.labels", "a span task has answers and no classes; leave labels out")
        if len(self.label_words) != 2:
            raise spec_error("task.label_words", "a span task has two label_words, for start and end; give two, or leave them out")
        return self

    @model_validator(mode="after")
    def _has_classes(self) -> Self:
        if not self.label_words and not self.labels and self.kind == "classification":
            raise spec_error(
                "task.label_words", "give labels (the names of the classes, in class-id order), or label_words (one word per class)"
            )
        return self

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        """Refuse words and a metric of the wrong kind, which would fail only after training, inside a library."""
        regression = self.kind == "regression"
        if self.kind not in _WORDLESS and self.labels is not None and regression != (len(self.labels) == 1):
            raise spec_error(
                "task.labels",
                "a {what} needs {count}, labels has {got}; {remedy}",
                what=self.kind,
                count="no class names" if regression else "at least two classes",
                got=len(self.labels),
                remedy="leave labels out" if regression else "name all of them",
            )
        if self.kind not in _WORDLESS and self.label_words and regression != (len(self.label_words) == 1):
            raise spec_error(
                "task.label_words",
                "a {what} needs {count} label_words, it has {got}",
                what=self.kind,
                count="exactly one in" if regression else "at least two",
                got=len(self.label_words),
            )
        if self.kind != "classification" and several_words(self.label_words):
            raise spec_error(
                "task.label_words",
                "a {what} takes no lists of words, only a classification does; give one word in place of each",
                what=self.kind,
            )
        known = METRICS_OF_KIND[self.kind]
        if self.metric is not None and self.metric not in known:
            raise spec_error(
                "task.metric",
                "metric {metric} does not measure a {what}; use {remedy}",
                metric=self.metric,
                what=self.kind,
                remedy=f"{', '.join(known[:-1])} or {known[-1]}",
            )
        return self
