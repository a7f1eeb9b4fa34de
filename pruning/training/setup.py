"""From a spec to something that can be trained: everything that can fail before training fails here, within seconds."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from pruning.data import token_cache
from pruning.data.batching import BatchStream, evaluation_batches
from pruning.data.encoding import EncodedRows, encode_rows, with_teacher_logits
from pruning.data.jsonl import find_dataset
from pruning.data.reader import Rows, load_rows
from pruning.errors import PermanentError
from pruning.evaluation.evaluate import Split
from pruning.events import EventSink, LogEvent, Phase, PhaseEvent
from pruning.hub.local import find_folder
from pruning.hub.models import ModelFolder
from pruning.masking.kernels import dispatch
from pruning.masking.methods.base import Calibration
from pruning.masking.methods.registry import create_method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices, wrap_linears
from pruning.models import autocast, dropout
from pruning.models.heads import ClassifierHead, LabelWordHead, match_labels
from pruning.models.label_words import label_word_ids
from pruning.models.loading import LoadedModel, load_model, locate_model, weights_digest
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.training import backends, losses
from pruning.training.distillation import teacher_logits
from pruning.training.distributed import SINGLE_PROCESS, ProcessGroup
from pruning.training.pruner import Pruner
from pruning.training.run import Batch, Run, seed_everything


def set_up(spec: PruningSpec, sources: Sources, emit: EventSink, process_group: ProcessGroup = SINGLE_PROCESS) -> Run:
    """Load, check and wire everything a spec names; every one of several ranks does.

    Raises PermanentError or TemporaryError, each with the field to change.
    """
    seed_everything(spec.seed)
    device = process_group.device
    autocast.require_precision(spec.precision, device)
    task = replace(spec.task_info, label_words=spec.label_words)
    loaded = _load_model(spec, sources, emit)
    label_ids = [] if spec.head == "classifier" else label_word_ids(loaded.tokenizer, spec.label_words)
    columns = _columns(loaded, task, spec)
    train_rows, validation_rows = _load_rows(task, spec, sources, emit)
    max_length = _max_length(spec, loaded, emit)
    _emit_phase(emit, "tokenizing", f"{len(train_rows.labels)} rows")
    cache = token_cache.from_sources(sources, emit)
    train = encode_rows(train_rows, task, loaded.tokenizer, max_length, spec.stride, cache)
    validation = [
        Split(rows, encode_rows(rows, task, loaded.tokenizer, max_length, spec.stride, cache))
        for rows in validation_rows
    ]
    if spec.teacher is not None:
        logits = teacher_logits(
            spec, task, train_rows, loaded, max_length, sources, device, lambda what: _emit_phase(emit, "evaluating", what),
            cache,
        )  # fmt: skip
        train = with_teacher_logits(train, logits)
    base_digest = weights_digest(loaded.model, loaded.new_parameters)
    matrices = wrap_linears(loaded.model)
    if dispatch.kernel_name(device) == "native":
        dropout.replace_dropout(loaded.model)
    head = make_head(loaded, label_ids, columns, spec.head).to(device)
    changed = _unfreeze(loaded, spec)
    stream = BatchStream(train.lengths, spec.batch_size, spec.seed)
    total_steps = steps_of(spec, stream.per_epoch)
    others = [head.model.get_parameter(name) for name in changed]
    pruner = backends.select_backend(
        _pruner(spec, matrices, head, task, total_steps, others, process_group), spec.precision
    )
    pruner.method.initialize(matrices, _calibration(spec, head, train, device))
    return Run(
        spec=spec, task=task, located=loaded.folder, base_digest=base_digest, label_ids=label_ids, columns=columns,
        head=head, matrices=matrices, pruner=pruner, changed=changed, train=train, validation=validation, stream=stream,
        total_steps=total_steps, eval_every=evaluation_cadence(spec, total_steps, len(validation[0].encoded)),
        max_length=max_length, device=device, process_group=process_group,
    )  # fmt: skip


def _emit_phase(emit: EventSink, phase: Phase, message: str) -> None:
    emit(PhaseEvent(phase=phase, message=message))


def find_model(name: str, revision: str | None, sources: Sources, emit: EventSink) -> ModelFolder:
    """The folder of a model, reporting where it comes from. Raises PermanentError, TemporaryError."""
    local = find_folder(sources.models_dir, name) is not None
    _emit_phase(emit, "validating" if local else "downloading", f"model {name}")
    located = locate_model(
        name, revision, sources, lambda much: _emit_phase(emit, "downloading", f"model {name}: {much}")
    )
    if located.notice:
        emit(LogEvent(level="warning", message=located.notice))
    if not local:
        _emit_phase(emit, "validating", f"commit {located.revision}")
    return located


def _load_model(spec: PruningSpec, sources: Sources, emit: EventSink) -> LoadedModel:
    located = find_model(spec.model, spec.revision, sources, emit)
    return load_model(located, spec.label_words, spec.head, dropout=spec.dropout)


def _load_rows(task: Task, spec: PruningSpec, sources: Sources, emit: EventSink) -> tuple[Rows, list[Rows]]:
    if find_dataset(sources, task.name) is None:
        _emit_phase(emit, "downloading", f"data set {task.dataset}")
    train = load_rows(task, task.train_split, sources, spec.train_rows)
    return train, [load_rows(task, split, sources, spec.validation_rows) for split in task.validation_splits]


def _columns(loaded: LoadedModel, task: Task, spec: PruningSpec) -> list[int]:
    """Which output of a classifier head stands for which class: by name for a trained one, in order for a new one."""
    if spec.head != "classifier":
        return []
    if loaded.new_parameters:
        return list(range(len(task.label_words)))
    config = loaded.model.config
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    return match_labels(
        names, task.labels or task.label_words, len(task.label_words), owner="the model", param="model"
    )  # fmt: skip


def _max_length(spec: PruningSpec, loaded: LoadedModel, emit: EventSink) -> int:
    length = min(spec.max_length, loaded.max_positions)
    if length < spec.max_length:
        emit(
            LogEvent(
                level="warning",
                message=f"max_length {spec.max_length} exceeds the {loaded.max_positions} positions of the model; "
                f"inputs are cut at {length} tokens",
            )
        )
    return length


def make_head(
    loaded: LoadedModel, label_ids: list[int], columns: list[int], head: str
) -> LabelWordHead | ClassifierHead:
    """The head of a run or of a mask, on a model whose linears may already be masked."""
    if head == "classifier":
        return ClassifierHead(loaded.model, columns)
    position = "every" if head == "span" else "last" if loaded.decoder_only else "first"
    return LabelWordHead(loaded.model, label_ids, loaded.tokenizer.mask_token_id, position)  # type: ignore[arg-type]


def _unfreeze(loaded: LoadedModel, spec: PruningSpec) -> list[str]:
    """Let the parameters train that the spec trains beside scores and masked weights: biases and norms, a new head."""
    prefix = f"{loaded.model.base_model_prefix}."
    names = [
        name
        for name, parameter in loaded.model.named_parameters()
        if name in loaded.new_parameters or (spec.train_biases and parameter.ndim == 1 and name.startswith(prefix))
    ]
    for name in names:
        loaded.model.get_parameter(name).requires_grad_()
    return names


def _pruner(
    spec: PruningSpec,
    matrices: Matrices,
    head: nn.Module,
    task: Task,
    total_steps: int,
    others: list[nn.Parameter],
    process_group: ProcessGroup,
) -> Pruner[Batch]:
    layers, info, method = list(matrices.layers.values()), spec.method_info, create_method(spec)
    trained = layers if info.trains_weights and not spec.one_shot else []
    return Pruner(
        matrices=matrices,
        method=method,
        optimizer=ScoreAdam(
            layers if info.trains_scores else [], max_grad_norm=spec.max_grad_norm, epsilon=spec.adam_epsilon,
            penalty_shift=method.penalty_shift,
        ),
        schedule=Schedule.from_spec(spec, total_steps),
        loss_of=_loss_of(head, task, spec, process_group.device),
        weight_adam=WeightAdam(trained, others, spec.weight_learning_rate) if trained or others else None,
        process_group=process_group,
    )  # fmt: skip


def _loss_of(head: nn.Module, task: Task, spec: PruningSpec, device: torch.device) -> Callable[[Batch], torch.Tensor]:
    def loss_of(batch: Batch) -> torch.Tensor:
        inputs = {name: tensor for name, tensor in batch.items() if name not in ("labels", "teacher", "weight")}
        with autocast.for_precision(spec.precision, device):
            logits = head(**inputs)
        logits, labels = logits.float() if spec.precision == "bf16" else logits, batch["labels"]
        span = task.kind == "span"
        loss = losses.span(logits, labels[:, 0], labels[:, 1]) if span else losses.classification(logits, labels)
        if "teacher" in batch:
            distilled = losses.distilled(logits, batch["teacher"], spec.distill_temperature)
            loss = spec.distill_share * distilled + (1 - spec.distill_share) * loss
        # every loss is a mean over rows (no span target lies outside its window), so those of the ranks add up by rows
        return loss * batch["weight"] if "weight" in batch else loss

    return loss_of


def _calibration(
    spec: PruningSpec, head: LabelWordHead | ClassifierHead, train: EncodedRows, device: torch.device
) -> Calibration:
    """The first rows of the training split, the head in evaluation mode."""
    rows = min(spec.calibration_rows, len(train))

    def batches() -> Iterator[Batch]:
        head.eval()
        for numbers in evaluation_batches(train.lengths[:rows], 32):
            batch = train.batch(numbers, device)
            batch.pop("teacher", None)
            yield batch

    def forward(inputs: Batch) -> torch.Tensor:
        with head.all_positions():
            logits: torch.Tensor = head(**inputs)
        return logits

    return Calibration(forward, batches())


def steps_of(spec: PruningSpec, batches_per_epoch: int) -> int:
    """Optimizer steps of the whole run. Raises PermanentError when the ramp would have no step."""
    if spec.trains_nothing:
        return 0
    if spec.max_steps is not None:
        return spec.max_steps
    steps = max(1, math.floor((spec.epochs or 0) * batches_per_epoch / spec.gradient_accumulation))
    if steps * spec.ramp < 1:
        raise PermanentError(
            f"{spec.epochs} epochs are {steps} steps, too few for a ramp of {spec.ramp}; raise epochs or lower batch_size",
            code="schedule_too_short", param="epochs",
        )  # fmt: skip
    return steps


def evaluation_cadence(spec: PruningSpec, total_steps: int, validation_rows: int) -> int | None:
    """Steps between evaluations: as asked, or so that they cost about 5 % of the run (at most 20 of them).

    A training row costs about three times a row that is only evaluated (forward, and two products back).
    """
    if spec.eval_every is not None:
        return spec.eval_every
    trained_rows = total_steps * spec.batch_size * spec.gradient_accumulation
    evaluations = min(20, math.floor(0.05 * 3 * trained_rows / validation_rows))
    return math.ceil(total_steps / (evaluations + 1)) if evaluations > 0 else None
