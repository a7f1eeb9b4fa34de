"""Construction of a run's model and pruner: masked matrices, head, trained parameters, schedule, optimizers, backend.

Second and third stage of :func:`pruning.training.setup.set_up`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from pruning.data.batching import evaluation_batches, spaced_rows
from pruning.data.encoding import EncodedRows
from pruning.evaluation.evaluate import compute_logits
from pruning.masking.kernels import dispatch
from pruning.masking.layer_sparsity import layer_sparsity
from pruning.masking.methods.base import Calibration
from pruning.masking.methods.mask_start import MaskStart
from pruning.masking.methods.registry import create_method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices, wrap_linears
from pruning.models import dropout
from pruning.models.heads import ClassifierHead, LabelWordHead, create_head
from pruning.models.loading import weights_digest
from pruning.models.logit_calibration import LogitCalibration
from pruning.spec.schema import PruningSpec
from pruning.training import backends, extra_parameters
from pruning.training.class_weights import log_weights
from pruning.training.dense_states import DenseStates, copy_dense, state_variances
from pruning.training.distributed import ProcessGroup
from pruning.training.extra_parameters import ExtraParameters
from pruning.training.inputs import Inputs
from pruning.training.losses import NOT_INPUTS, loss_function
from pruning.training.pruner import Pruner
from pruning.training.readout import start_readout
from pruning.training.run import Batch
from pruning.training.start_mask import StartMask
from pruning.training.step import Backend


@dataclass(frozen=True)
class MaskedModel:
    """A model on its device, every prunable linear of it masked."""

    head: LabelWordHead | ClassifierHead
    matrices: Matrices
    base_digest: str
    """Digest of the weights before anything is masked or trained."""
    extras: ExtraParameters
    """Parameters that the run trains outside the masked matrices."""
    states: DenseStates | None
    """States of the dense model, where the run is distilled from them."""


def build_model(spec: PruningSpec, inputs: Inputs, device: torch.device) -> MaskedModel:
    """Wrap the linears of the loaded model, which is changed in place, and put its head on top.

    Raises PermanentError (``tier_exceeded``).
    """
    loaded = inputs.loaded
    base_digest = weights_digest(loaded.model, loaded.new_parameters)
    dense = copy_dense(spec, inputs, device) if spec.distill_states else None
    matrices = wrap_linears(loaded.model)
    matrices = replace(matrices, own=layer_sparsity(spec, matrices.shapes))
    if dispatch.kernel_name(device) == "native":
        dropout.replace_dropout(loaded.model)
    head = create_head(loaded, inputs.label_ids, inputs.columns, spec.head, pooling=spec.pooling).to(device)
    extras = extra_parameters.unfreeze(loaded, head, spec)
    extra_parameters.require_small(spec, extras, matrices.total)
    start_readout(spec, inputs.task, loaded, head, inputs.train, device, inputs.class_weights)
    if spec.calibrate_logits and isinstance(head, LabelWordHead):
        head.calibrate(_fit_logits(spec, head, inputs, device))
    return MaskedModel(head, matrices, base_digest, extras, None if dense is None else _dense_states(spec, inputs, dense, device))


def build_pruner(
    spec: PruningSpec,
    inputs: Inputs,
    model: MaskedModel,
    total_steps: int,
    process_group: ProcessGroup,
    start: StartMask | None = None,
) -> Backend[Batch]:
    """Pruner of the run, its scores initialised; calibrated where the method needs it."""
    layers, device = list(model.matrices.layers.values()), process_group.device
    schedule = Schedule.from_spec(spec, total_steps)
    rows_seen = total_steps * spec.batch_size * spec.gradient_accumulation
    method = create_method(spec, schedule.score_noise, rows_seen, start.masks if start else None, model.matrices.total)
    if isinstance(method, MaskStart):
        schedule = replace(schedule, remaining_initial=method.first_share(model.matrices))
    weights = layers if spec.method_info.trains_weights and not spec.one_shot else []
    others = model.extras.parameters
    pruner = Pruner(
        matrices=model.matrices,
        method=method,
        optimizer=ScoreAdam(
            layers if spec.method_info.trains_scores else [],
            max_grad_norm=spec.max_grad_norm,
            clip_apart=spec.clip_apart,
            epsilon=spec.adam_epsilon,
            penalty_shift=method.penalty_shift,
            total_steps=total_steps,
        ),
        schedule=schedule,
        loss_of=loss_function(model.head, inputs.task, spec, device, inputs.class_weights, model.states),
        weight_adam=WeightAdam(weights, others, spec.weight_learning_rate) if weights or others else None,
        process_group=process_group,
    )
    backend = backends.select_backend(pruner, spec.precision)
    backend.method.initialize(model.matrices, _calibration(spec, model.head, inputs.train, device))
    return backend


def _fit_logits(spec: PruningSpec, head: LabelWordHead, inputs: Inputs, device: torch.device) -> LogitCalibration:
    """Logit calibration from the logits of the dense model on the calibration rows."""
    rows = inputs.train.take(spaced_rows(len(inputs.train), spec.calibration_rows))
    logits, labels = np.stack(compute_logits(head, rows, device)), rows.labels.numpy()
    if inputs.task.kind == "regression":
        return LogitCalibration.from_numbers(logits, labels)
    return LogitCalibration.from_class_logits(logits, labels, log_weights(inputs.class_weights))


def _dense_states(spec: PruningSpec, inputs: Inputs, dense: LabelWordHead | ClassifierHead, device: torch.device) -> DenseStates:
    """The states to distill from, their variances from the calibration rows."""
    batches = (
        {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        for batch in _calibration_batches(spec, inputs.train, device)
    )
    by_word = inputs.task.kind == "token-classification"
    return DenseStates(dense, spec.distill_states, state_variances(dense, batches), by_word)


def _calibration(spec: PruningSpec, head: LabelWordHead | ClassifierHead, train: EncodedRows, device: torch.device) -> Calibration:
    """The calibration rows, the head in evaluation mode."""

    def batches() -> Iterator[Batch]:
        head.eval()
        yield from _calibration_batches(spec, train, device)

    def forward(inputs: Batch) -> torch.Tensor:
        with head.all_positions():
            logits: torch.Tensor = head(**inputs)
        return logits

    return Calibration(forward, batches())


def _calibration_batches(spec: PruningSpec, train: EncodedRows, device: torch.device) -> Iterator[Batch]:
    """The calibration rows (of spans: windows), without the logits of a teacher, which only the rows of the run have."""
    train = replace(train, teacher_logits=None)
    rows = spaced_rows(len(train), spec.calibration_rows)
    for chosen in evaluation_batches(train.lengths[rows], 32):
        yield train.batch([rows[i] for i in chosen], device)
