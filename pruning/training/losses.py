"""Losses of a head's logits: task losses and distillation, pure functions of tensors, and the loss of a run's batches.

Called by :mod:`pruning.training.build`.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from pruning.data.tagged_words import IGNORED
from pruning.models import autocast
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.training.class_weights import ROW_WEIGHTS, ClassWeights
from pruning.training.dense_states import DenseStates

NOT_INPUTS = ("labels", "teacher", "weight", ROW_WEIGHTS)
"""Tensors of a batch that its loss reads and the head does not."""


def classification(logits: torch.Tensor, labels: torch.Tensor, row_weights: torch.Tensor | None = None) -> torch.Tensor:
    """Mean cross-entropy of logits [B, C] and class ids [B]; with C = 1, mean squared error of the raw logit.

    ``row_weights`` [B]: factors of the rows' cross-entropies (:class:`pruning.training.class_weights.ClassWeights`).
    """
    if logits.shape[1] == 1:
        return functional.mse_loss(logits.squeeze(1), labels.to(logits.dtype))
    if row_weights is None:
        return functional.cross_entropy(logits, labels)
    return (functional.cross_entropy(logits, labels, reduction="none") * row_weights).mean()


def multilabel(logits: torch.Tensor, labels: torch.Tensor, positive_weights: torch.Tensor | None = None) -> torch.Tensor:
    """Mean binary cross-entropy of logits [B, C] and labels [B, C] of 0 and 1, over rows and labels.

    ``positive_weights`` [C]: factors of the terms of labels that rows have.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), pos_weight=positive_weights)


def token_classification(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of logits [B, S, C] and tag ids [B, S] over the tokens that have one; 0 where none has."""
    total = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp(min=1)  # computed on the device: a captured graph reads no number


def task_loss(
    task: Task,
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    row_weights: torch.Tensor | None = None,
    positive_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """The loss of a kind of task; ``labels`` as :class:`pruning.data.encoding.EncodedRows` batches them, weights as for
    :func:`classification` and :func:`multilabel`."""
    if task.kind == "span":
        return span(logits, labels[:, 0], labels[:, 1])
    if task.kind == "token-classification":
        return token_classification(logits, labels)
    if task.kind == "multilabel":
        return multilabel(logits, labels, positive_weights)
    return classification(logits, labels, row_weights)


def span(logits: torch.Tensor, starts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Mean of the start and end cross-entropies of logits [B, S, 2] over all S positions, padding included.

    Positions [B] are clamped to [0, S]; S itself (an answer outside the window) is ignored.
    """
    length = logits.shape[1]
    losses = [
        functional.cross_entropy(logits[:, :, i], positions.clamp(0, length), ignore_index=length)
        for i, positions in enumerate((starts, ends))
    ]
    return (losses[0] + losses[1]) / 2


def distillation(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 2.0) -> torch.Tensor:
    """τ² KL(softmax(teacher/τ) ‖ softmax(student/τ)), summed over classes (the last dimension), mean over rows.

    As in the reference code; the paper writes D_KL(p_s ‖ p_t) (eq. 7).
    """
    log_student = functional.log_softmax(student / temperature, dim=-1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * functional.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")


def distilled(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 2.0) -> torch.Tensor:
    """:func:`distillation` of logits [B, C]; for spans [B, S, 2] the mean of start and end, over all positions."""
    if student.ndim == 2:
        return distillation(student, teacher, temperature)
    starts, ends = (distillation(s, t, temperature) for s, t in zip(student.unbind(-1), teacher.unbind(-1), strict=True))
    return (starts + ends) / 2


def loss_function(
    head: nn.Module,
    task: Task,
    spec: PruningSpec,
    device: torch.device,
    weights: ClassWeights | None = None,
    states: DenseStates | None = None,
) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    """The loss of a batch of ``head``'s inputs with its ``labels``, and, where it has them, ``teacher``, ``weight`` and
    ``row_weights``; ``states`` are those that the run is distilled from."""
    positive = None if weights is None or weights.positive is None else weights.positive.to(device)

    def loss_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        inputs = {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        with autocast.for_precision(spec.precision, device):
            logits, distance = (head(**inputs), None) if states is None else states.logits_and_loss(head, inputs, batch["labels"])
        logits, labels = logits.float() if spec.precision == "bf16" else logits, batch["labels"]
        loss = task_loss(task, logits, labels, row_weights=batch.get(ROW_WEIGHTS), positive_weights=positive)
        if "teacher" in batch:
            distilled_loss = distilled(logits, batch["teacher"], spec.distill_temperature)
            loss = spec.distill_share * distilled_loss + (1 - spec.distill_share) * loss
        if distance is not None:
            loss = loss + distance
        # every loss is a mean over rows (no span target lies outside its window) or over labelled tokens, whose numbers make
        # the weight, so those of ranks and micro-batches add up
        return loss * batch["weight"] if "weight" in batch else loss

    return loss_of
