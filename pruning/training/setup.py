"""Set-up of a run: everything that can fail before training fails here, within seconds.

Called by :mod:`pruning.training.train`.
"""

import math

from pruning.data.batching import BatchStream
from pruning.data.step_count import count_steps
from pruning.events import EventSink
from pruning.models import autocast
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training.best_mask import BestMask
from pruning.training.build import MaskedModel, build_model, build_pruner
from pruning.training.distributed import SINGLE_PROCESS, ProcessGroup
from pruning.training.inputs import Inputs, load_inputs
from pruning.training.run import Run, seed_everything
from pruning.training.start_mask import load_start_mask


def set_up(spec: PruningSpec, sources: Sources, emit: EventSink, process_group: ProcessGroup = SINGLE_PROCESS) -> Run:
    """Load, check and build everything that a spec names; every one of several ranks does.

    Raises PermanentError or TemporaryError, each with the field to change.
    """
    seed_everything(spec.seed)
    device = process_group.device
    autocast.require_precision(spec.precision, device)
    start = load_start_mask(spec, sources)
    inputs = load_inputs(spec, sources, emit, device)
    spec = inputs.spec
    model = build_model(spec, inputs, device)
    if start is not None:
        start.require_fit(model.base_digest, model.matrices)
    stream = BatchStream(inputs.train.lengths, spec.batch_size, spec.seed)
    total_steps = count_steps(spec, stream.per_epoch)
    pruner = build_pruner(spec, inputs, model, total_steps, process_group, start)
    return Run(
        spec=spec,
        task=inputs.task,
        model_folder=inputs.loaded.folder,
        base_digest=model.base_digest,
        label_ids=inputs.label_ids,
        columns=inputs.columns,
        head=model.head,
        matrices=model.matrices,
        pruner=pruner,
        extras=model.extras,
        train=inputs.train,
        validation=inputs.validation,
        class_weights=inputs.class_weights,
        skipped=inputs.skipped,
        stream=stream,
        total_steps=total_steps,
        eval_every=evaluation_interval(spec, total_steps, len(inputs.validation[0].encoded)),
        max_length=inputs.max_length,
        device=device,
        process_group=process_group,
        best=_best_mask(spec, inputs, model),
        start=start,
    )


def _best_mask(spec: PruningSpec, inputs: Inputs, model: MaskedModel) -> BestMask | None:
    if spec.keep == "last":
        return None
    trains_weights = spec.method_info.trains_weights
    return BestMask(model.matrices, model.extras, inputs.task.metrics[0], trains_weights=trains_weights)


def evaluation_interval(spec: PruningSpec, total_steps: int, validation_rows: int) -> int | None:
    """Steps between evaluations: the spec's, or so that they cost about 5 % of the run (at most 20 of them).

    A training row costs about three times a row that is only evaluated (forward, and two products back).
    """
    if spec.eval_every is not None:
        return spec.eval_every
    trained_rows = total_steps * spec.batch_size * spec.gradient_accumulation
    evaluations = min(20, math.floor(0.05 * 3 * trained_rows / validation_rows))
    return math.ceil(total_steps / (evaluations + 1)) if evaluations > 0 else None
