"""Distillation: the logits of a fine-tuned teacher on the training rows that the run uses, computed once before training and kept.

A run shorter than an epoch uses some of the rows: 1,000 steps of 8 rows 12 % of SST-2, whose other rows would take the teacher
longer than the run takes to train.

Any Hugging Face sequence classifier or, for span tasks, question answering model can be the teacher; its classes are matched to the
task's by name. Logits come in evaluation mode and in an order that depends on the rows alone, so a resumed run has the
same ones. Called by :mod:`pruning.training.inputs`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pruning.data.encoding import encode_rows
from pruning.data.reader import Rows
from pruning.data.token_cache import TokenCache
from pruning.errors import PermanentError
from pruning.evaluation.evaluate import compute_logits
from pruning.evaluation.progress import minutely
from pruning.events import EventSink, PhaseEvent
from pruning.models.class_names import match_classes
from pruning.models.heads import ClassifierHead, QuestionAnsweringHead
from pruning.models.loading import LoadedModel, load_teacher, locate_model
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task


def teacher_logits(
    spec: PruningSpec,
    task: Task,
    rows: Rows,
    seen: Sequence[int],
    student: LoadedModel,
    max_length: int,
    sources: Sources,
    device: torch.device,
    emit: EventSink,
    cache: TokenCache | None = None,
) -> list[npt.NDArray[np.float32]]:
    """The teacher's logits of the training inputs (rows, or windows) numbered in ``seen``, each [C] in the task's class order or
    [tokens, 2]; those of all others are empty arrays.

    Raises PermanentError where teacher and task do not fit, naming ``teacher``.
    """
    span = task.kind == "span"

    def progress(message: str) -> None:
        emit(PhaseEvent(phase="evaluating", message=message))

    loaded = _load(spec, sources, progress, span=span)
    if span:
        _require_same_tokens(loaded, student, rows)
        _require_same_windows(loaded, max_length)
        head: nn.Module = QuestionAnsweringHead(loaded.model)
    else:
        config = loaded.model.config
        names = spec.teacher_labels or [str(config.id2label[i]) for i in range(config.num_labels)]
        if len(names) != config.num_labels:
            raise PermanentError(
                f"teacher_labels has {len(names)} names, the teacher {config.num_labels} classes; name every one in order",
                code="labels_mismatch",
                param="teacher_labels",
            )
        columns = match_classes(names, task.class_names, task.classes, owner="the teacher", param="teacher")
        head = ClassifierHead(loaded.model, columns)
    progress(f"the teacher {spec.teacher} on {len(seen):,} {'windows' if span else 'rows'}")
    task = replace(task, template=None)  # which needs a word, and a teacher has a classifier
    encoded = encode_rows(rows, task, loaded.tokenizer, min(max_length, loaded.max_positions), spec.stride, cache)
    return compute_logits(head.to(device).eval(), encoded, device, progress=minutely(emit), chosen=seen)


def _load(spec: PruningSpec, sources: Sources, progress: Callable[[str], None], *, span: bool) -> LoadedModel:
    try:
        return load_teacher(locate_model(str(spec.teacher), None, sources, progress), span=span)
    except PermanentError as fault:  # the common checks name the field "model"
        raise PermanentError(fault.message, code=fault.code, param="teacher") from fault


def _require_same_tokens(teacher: LoadedModel, student: LoadedModel, rows: Rows) -> None:
    """Refuse a span teacher whose tokenizer differs: its logits belong to token positions."""
    sample = rows.texts[1][:100]
    if teacher.tokenizer(sample)["input_ids"] != student.tokenizer(sample)["input_ids"]:
        raise PermanentError(
            "the teacher's tokenizer cuts text differently from the model's, so their positions mean different words; "
            "choose a teacher with the same tokenizer",
            code="teacher_tokenizer",
            param="teacher",
        )


def _require_same_windows(teacher: LoadedModel, max_length: int) -> None:
    """Refuse a span teacher with a shorter input: it would cut contexts into other windows than the model."""
    if teacher.max_positions < max_length:
        raise PermanentError(
            f"the teacher reads {teacher.max_positions} tokens at once, the windows have {max_length}; "
            "lower max_length or choose a teacher that reads as many",
            code="teacher_too_short",
            param="teacher",
        )
