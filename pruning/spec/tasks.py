"""Catalogue of the tasks with the paper's settings for each.

The API lists this table, the spec takes its defaults from it, the trainer reads its columns. Batch sizes, epochs and label
words are those of the reference scripts (kongds/SMP ``run.sh``, ``run_squad.sh``); where the paper differs (RTE: 60 epochs,
scripts: 100) the presets say which one is meant. Torch-free.
"""

from dataclasses import dataclass, replace

from pruning.spec.custom_task import _SPAN_WORDS, _WORDLESS, METRICS_OF_KIND, CustomTask, Metric, TaskKind
from pruning.spec.verbalizer import ClassWords, first_words


@dataclass(frozen=True)
class Task:
    """A task: its data set and columns, what is predicted, and its metrics."""

    name: str
    dataset: str
    """Hub data set; the local folder of the same task is ``<datasets dir>/<name>``."""
    config: str | None
    text: tuple[str, ...]
    label: str
    kind: TaskKind
    label_words: tuple[ClassWords, ...]
    """Word of each class id, or its words (:mod:`pruning.spec.verbalizer`), as the model's tokenizer has them behind a blank. None
    where the task has class names alone, from which a spec proposes words if its head needs some. Of multilabel tasks the labels,
    of token classification the tags, empty until they are found in the training split."""
    labels: tuple[str, ...] | None
    """Name of each class id, as data sets and fine-tuned teachers call it; None where unknown or for a regression."""
    metrics: tuple[Metric, ...]
    """The first one names the result."""
    epochs: float
    batch_size: int
    max_length: int = 128
    train_split: str = "train"
    validation_splits: tuple[str, ...] = ("validation",)
    validation_share: float | None = None
    """Share of the training split that is held out for validation; None: the validation splits are read."""
    label_columns: tuple[str, ...] = ()
    """Multilabel task whose labels have a column each; ``label`` is then empty."""
    no_answers: bool = False
    """Span task: whether rows may have no answer; the metrics are then those of SQuAD v2."""
    bad_rows_limit: float | None = None
    """Largest share of a split's rows that is skipped where they do not fit the task; None: the first one is refused."""
    template: str | None = None
    """Text around the texts of a row with the mask at which its label word is read (:mod:`pruning.spec.templates`), as the spec
    has it."""

    def on_dataset(self, dataset: str, config: str | None, split: str) -> "Task":
        """The task with the same columns, labels and metrics on another data set, measured on ``split``."""
        return replace(self, name=dataset, dataset=dataset, config=config, validation_splits=(split,), validation_share=None)

    def holding_out(self, share: float) -> "Task":
        """The task with a share of its training split in place of its validation splits."""
        return replace(self, validation_share=share, validation_splits=(f"{self.train_split} (held out)",))

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns with the labels: the label column, or one per label."""
        return self.label_columns or (self.label,)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (*self.text, *self.targets)

    @property
    def classes(self) -> int:
        """Logits of a row: one per class, one of a regression, two of a span."""
        return len(self.labels or self.label_words) or 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of every class id, or its first label word where the task names no classes."""
        return self.labels or first_words(self.label_words)


def _glue(
    name: str,
    text: tuple[str, ...],
    words: tuple[str, ...],
    metrics: tuple[Metric, ...],
    epochs: float,
    batch: int,
    labels: tuple[str, ...] | None,
    *,
    kind: TaskKind = "classification",
    splits: tuple[str, ...] = ("validation",),
) -> Task:
    return Task(name, "nyu-mll/glue", name, text, "label", kind, words, labels, metrics, epochs, batch, validation_splits=splits)


_PAIR = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI_SPLITS = ("validation_matched", "validation_mismatched")

# fmt: off
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        #     name    text columns                 label words, by class id    metrics                epochs batch  class names
        _glue("mnli", ("premise", "hypothesis"),   ("Yes", "Maybe", "No"),     ("accuracy",),             12, 64,
              ("entailment", "neutral", "contradiction"), splits=_MNLI_SPLITS),
        _glue("qnli", ("question", "sentence"),    ("Yes", "No"),              ("accuracy",),             12, 64, _ENTAILMENT),
        _glue("qqp",  ("question1", "question2"),  ("No", "Yes"),              ("accuracy", "f1"),        12, 64,
              ("not_duplicate", "duplicate")),
        _glue("sst2", ("sentence",),               ("terrible", "great"),      ("accuracy",),             12, 64,
              ("negative", "positive")),
        _glue("mrpc", _PAIR,                       ("No", "Yes"),              ("accuracy", "f1"),        60, 32,
              ("not_equivalent", "equivalent")),
        _glue("cola", ("sentence",),               ("incorrect", "correct"),   ("matthews", "accuracy"),  60, 32,
              ("unacceptable", "acceptable")),
        _glue("stsb", _PAIR,                       ("Yes",),                   ("pearson", "spearman"),   60, 32, None,
              kind="regression"),
        _glue("rte",  _PAIR,                       ("Yes", "No"),              ("accuracy",),             60, 32, _ENTAILMENT),
        Task("squad", "rajpurkar/squad", None, ("question", "context"), "answers", "span",
             _SPAN_WORDS, None, ("f1", "exact_match"), 10, 32, max_length=384),
        Task("squad_v2", "rajpurkar/squad_v2", None, ("question", "context"), "answers", "span",
             _SPAN_WORDS, None, ("f1", "exact"), 10, 32, max_length=384, no_answers=True),
    )
}
# fmt: on


def resolve_task(given: str | CustomTask) -> Task:
    """The task of a spec: a row of :data:`TASKS`, or one built from a custom task.

    Raises KeyError for a name that is not in the table; the spec refuses such names first.
    """
    if isinstance(given, str):
        return TASKS[given]
    known = METRICS_OF_KIND[given.kind]
    first: Metric = given.metric or known[0]
    others = tuple(metric for metric in known if metric != first) if given.kind in (*_WORDLESS, "span") else ()
    return Task(
        name=given.dataset,
        dataset=given.dataset,
        config=given.config,
        text=given.text,
        label=given.label,
        kind=given.kind,
        label_words=given.label_words,
        labels=given.labels,
        metrics=(first, *others),
        epochs=10,
        batch_size=32,
        train_split=given.train_split,
        validation_splits=(given.validation_split,),
        label_columns=given.label_columns or (),
        max_length=384 if given.kind == "span" else 128,
        no_answers=given.kind == "span",
    )
