"""Inputs of a run: the loaded model and tokenizer, the encoded rows of the task, and a teacher's logits on them.

First stage of :func:`pruning.training.setup.set_up`; every remaining mistake in a spec is refused here.
"""

from dataclasses import dataclass, replace

import torch

from pruning.data import token_cache
from pruning.data.bad_rows import BadRows
from pruning.data.batching import BatchStream
from pruning.data.encoding import EncodedRows, encode_fitting, with_teacher_logits
from pruning.data.holdout import default_share
from pruning.data.iob import ordered_tags
from pruning.data.jsonl import find_dataset
from pruning.data.reader import Rows, load_rows, with_known_tags
from pruning.data.step_count import count_steps
from pruning.errors import PermanentError, SplitMissingError
from pruning.evaluation.evaluate import Split
from pruning.events import EventSink, LogEvent, PhaseEvent
from pruning.masking.layer_sparsity import layer_sparsity
from pruning.masking.wrap import prunable_linears
from pruning.models.class_names import match_classes
from pruning.models.folder_values import caps_logits
from pruning.models.heads import WORD_HEADS
from pruning.models.label_words import WordRules, label_word_ids
from pruning.models.loading import LoadedModel, find_model, load_model
from pruning.models.pooling_checks import check_pooling, declares_mean, own_pooling
from pruning.quality.catalog import make_warning
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.spec.verbalizer import ClassTokens
from pruning.training.class_weights import ClassWeights
from pruning.training.distillation import teacher_logits


@dataclass(frozen=True)
class Inputs:
    """A model as it was loaded, and rows in its tokens."""

    spec: PruningSpec
    """The spec as given, with the ``validation_share`` that the data set needs."""
    task: Task
    loaded: LoadedModel
    label_ids: list[ClassTokens]
    """Label-word head: the tokens of each class."""
    columns: list[int]
    """Classifier head: its output for each class of the task."""
    max_length: int
    """Tokens at which inputs are cut: the spec's, or what the model can read."""
    train: EncodedRows
    validation: list[Split]
    class_weights: ClassWeights | None
    """Class weights of the spec on the training rows."""
    skipped: list[BadRows]
    """Skipped rows of each split that has some."""


def load_inputs(spec: PruningSpec, sources: Sources, emit: EventSink, device: torch.device) -> Inputs:
    """Load model and rows; a teacher, if there is one, computes on ``device``. Raises PermanentError, TemporaryError."""
    task = replace(spec.task_info, label_words=spec.label_words)
    if task.kind == "token-classification" and not task.labels:
        # the head's size is the number of tags, so the rows come first
        task, train_rows, validation_rows = _load_rows(task, spec, sources, emit)
        task, validation_rows = _with_found_tags(task, train_rows, validation_rows)
        rows = task, train_rows, validation_rows
    else:
        rows = None
    model_folder = find_model(spec.model, spec.revision, sources, emit)
    loaded = load_model(
        model_folder, task.label_words, spec.head, pieces=spec.label_word_pieces, classes=task.classes, dropout=spec.dropout
    )
    layer_sparsity(spec, {path: (each.out_features, each.in_features) for path, each in prunable_linears(loaded.model).items()})
    _check_pooling(loaded, spec, emit)
    rules = WordRules(spec.label_word_pieces, spec.head, caps_logits(loaded.model.config.to_dict()))
    label_ids = label_word_ids(loaded.tokenizer, spec.label_words, rules) if spec.head in WORD_HEADS else []
    columns = _columns(loaded, task, spec)
    if rows is None:
        rows = _load_rows(task, spec, sources, emit)
        task = rows[0]
    _, train_rows, validation_rows = rows
    spec = spec.holding_out(task.validation_share)
    max_length = _max_length(spec, loaded, emit)
    emit(PhaseEvent(phase="tokenizing", message=f"{len(train_rows.labels)} rows"))
    cache = token_cache.from_sources(sources, emit)
    train_rows, train = encode_fitting(train_rows, task, loaded.tokenizer, max_length, spec.stride, cache)
    validation = [Split(*encode_fitting(rows, task, loaded.tokenizer, max_length, spec.stride, cache)) for rows in validation_rows]
    skipped = [rows.bad for rows in (train_rows, *(split.rows for split in validation)) if rows.bad and rows.bad.count]
    _report_skipped(emit, skipped)
    _warn_of_cut_words(emit, max_length, [(train_rows, train), *((split.rows, split.encoded) for split in validation)])
    if spec.teacher is not None:
        stream = BatchStream(train.lengths, spec.batch_size, spec.seed)
        seen = stream.seen(count_steps(spec, stream.per_epoch) * spec.gradient_accumulation)
        logits = teacher_logits(spec, task, train_rows, seen, loaded, max_length, sources, device, emit, cache)
        train = with_teacher_logits(train, logits)
    weights = ClassWeights.from_rows(spec, task, train)
    if weights is not None:
        weights.announce(task, spec, emit)
    return Inputs(spec, task, loaded, label_ids, columns, max_length, train, validation, weights, skipped)


def _load_rows(task: Task, spec: PruningSpec, sources: Sources, emit: EventSink) -> tuple[Task, Rows, list[Rows]]:
    """The rows, and the task with the share of its training split that is held out."""
    if find_dataset(sources, task.name) is None:
        emit(PhaseEvent(phase="downloading", message=f"data set {task.dataset}"))
    train = load_rows(task, task.train_split, sources, spec.train_rows)
    try:
        validation = [load_rows(task, split, sources, spec.validation_rows) for split in task.validation_splits]
    except SplitMissingError as missing:
        task = task.holding_out(default_share(task, missing))
        train = load_rows(task, task.train_split, sources, spec.train_rows)
        validation = [load_rows(task, split, sources, spec.validation_rows) for split in task.validation_splits]
    for rows in (train, *validation):
        for note in rows.notes:
            emit(LogEvent(message=f"split {rows.split}: {note}"))
    return task, train, validation


def _with_found_tags(task: Task, train: Rows, validation: list[Rows]) -> tuple[Task, list[Rows]]:
    """The task with the tags of its training rows, and the validation rows that have no others.

    Raises PermanentError (``labels_mismatch``) for a validation row with another one, where bad rows are refused."""
    tags = train.tags or ordered_tags(tag for row in train.labels for tag in row)
    if len(tags) < 2:
        raise PermanentError(
            f"split {train.split!r} of task {task.name!r} has no entity, only the tag O; name every tag in labels, or give rows "
            "with entities",
            code="labels_mismatch",
            param="task.labels",
        )
    return replace(task, label_words=tags), [with_known_tags(rows, task, tags) for rows in validation]


def _report_skipped(emit: EventSink, skipped: list[BadRows]) -> None:
    """Report the skipped rows: a message with numbers for each split, and a warning that is kept with the job."""
    counts = []
    for bad in skipped:
        count = f"{bad.count:,} of {bad.read:,} rows of {bad.where}"
        emit(LogEvent(level="warning", message=f"skipped: {count}: {bad.described()}"))
        reasons = ", ".join(f"{reason} {len(rows):,}" for reason, rows in bad.rows.items())
        counts.append(f"{count} ({reasons})")
    if counts:
        emit(make_warning("rows_skipped", f"Skipped, as the task cannot use them: {'; '.join(counts)}"[:1000]))


def _warn_of_cut_words(emit: EventSink, max_length: int, splits: list[tuple[Rows, EncodedRows]]) -> None:
    """Token classification: log how many words are beyond the longest input, or have no token for another reason."""
    for rows, encoded in splits:
        missing = 0 if encoded.words is None else encoded.words.missing
        if missing:
            message = (
                f"split {rows.split}: {missing} of {sum(map(len, rows.words or []))} words have no token within max_length "
                f"{max_length}; they are not trained on, and in validation they count as missed"
            )
            emit(LogEvent(level="warning", message=message))


def _columns(loaded: LoadedModel, task: Task, spec: PruningSpec) -> list[int]:
    """Which output of a classifier head stands for which class: by name for a trained one, in order for a new one."""
    if spec.head in WORD_HEADS:
        return []
    if loaded.new_parameters:
        return list(range(task.classes))
    config = loaded.model.config
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    return match_classes(names, task.class_names, task.classes, owner="the model", param="model")


def _check_pooling(loaded: LoadedModel, spec: PruningSpec, emit: EventSink) -> None:
    """Refuse a pooling that the model cannot have; where none is given and the folder declares the mean, say what is read."""
    path = loaded.folder.path
    check_pooling(path, spec.pooling)
    reads_first = spec.head == "classifier" and not loaded.decoder_only and own_pooling(path) == "first"
    if reads_first and spec.pooling is None and loaded.new_parameters and declares_mean(path):
        message = (
            "the folder's sentence vectors are means over tokens (modules.json), and this classifier reads the first token's "
            "state; set pooling to mean for the other"
        )
        emit(LogEvent(message=message))


def _max_length(spec: PruningSpec, loaded: LoadedModel, emit: EventSink) -> int:
    length = min(spec.max_length, loaded.max_positions)
    if length < spec.max_length:
        message = (
            f"max_length {spec.max_length} exceeds the {loaded.max_positions} positions of the model; "
            f"inputs are cut at {length} tokens"
        )
        emit(LogEvent(level="warning", message=message))
    return length
