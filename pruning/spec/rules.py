"""Validation rules over several fields of a spec: combinations that could only fail later are refused before any work.

Called by :class:`pruning.spec.schema.PruningSpec` once every single field is valid. The rules on labels and heads are in
:mod:`pruning.spec.label_rules`.
"""

from pruning.spec.errors import spec_error
from pruning.spec.fields import SpecFields
from pruning.spec.label_rules import check_head, check_labels
from pruning.spec.methods import METHODS
from pruning.spec.start import require_startable

_UNWEIGHTED = {
    "regression": "a regression predicts a number and has no classes to weigh",
    "span": "a span task predicts positions and has no classes to weigh",
    "token-classification": "class weights are those of rows, and a token classification has a tag per word",
}
"""Kinds of tasks without class weights, and why."""


def validate(spec: SpecFields) -> None:
    """Raise PydanticCustomError for the first rule that ``spec`` breaks.

    A spec whose method is not installed was read from a record (:data:`pruning.spec.schema.RECORD`) and checked where it ran.
    """
    if spec.method not in METHODS:
        return
    _check_length(spec)
    _check_schedule(spec)
    _check_method(spec)
    _check_sparsity_by(spec)
    if spec.init_from is not None:
        require_startable(spec.method, spec.prior, spec.learning_rate, by_matrix=bool(spec.sparsity_by))
    _check_tier(spec)
    check_labels(spec)
    check_head(spec)
    _check_devices(spec)
    _check_baseline(spec)
    _check_class_weights(spec)
    _check_bad_rows(spec)
    _check_keep(spec)


def _check_length(spec: SpecFields) -> None:
    if spec.epochs is not None and spec.max_steps is not None:
        raise spec_error("epochs", "give epochs or max_steps, not both")
    if spec.trains_nothing:
        if spec.epochs is not None or spec.max_steps is not None:
            raise spec_error("max_steps", "{what} does not train; leave epochs and max_steps out", what=_one_shot(spec))
    elif spec.epochs is None and spec.max_steps is None:
        raise spec_error("epochs", "give epochs or max_steps; a run needs an end")


def _check_schedule(spec: SpecFields) -> None:
    if spec.ramp + spec.hold > 1 + 1e-9:
        raise spec_error(
            "hold",
            "ramp ({ramp}) and hold ({hold}) are shares of one run and must add up to at most 1; lower one of them",
            ramp=spec.ramp,
            hold=spec.hold,
        )
    if spec.task_info.kind == "span" and spec.stride >= spec.max_length:
        raise spec_error(
            "stride",
            "stride ({stride}) must be smaller than max_length ({length}), or windows would not advance",
            stride=spec.stride,
            length=spec.max_length,
        )
    if spec.max_steps is not None and spec.max_steps * spec.ramp < 1:
        raise spec_error(
            "max_steps",
            "a ramp of {ramp} of {steps} steps has no step in which sparsity could rise; raise max_steps or ramp",
            ramp=spec.ramp,
            steps=spec.max_steps,
        )
    if spec.eval_every is not None and spec.max_steps is not None and spec.eval_every > spec.max_steps:
        raise spec_error(
            "eval_every", "eval_every ({every}) must not exceed max_steps ({steps})", every=spec.eval_every, steps=spec.max_steps
        )


def _check_method(spec: SpecFields) -> None:
    info = METHODS[spec.method]
    if spec.pattern == "2:4":
        if not info.two_four:
            raise spec_error("pattern", "method {method} has no pattern 2:4; use smp-s or smp-l", method=spec.method)
        if spec.sparsity != 0.5:
            raise spec_error("sparsity", "pattern 2:4 removes exactly half of the weights; set sparsity to 0.5 or leave it out")
    if spec.one_shot and spec.method != "magnitude":
        raise spec_error("one_shot", "one_shot is an option of method magnitude; wanda and random always are")
    if spec.prior is not None and not info.takes_prior:
        raise spec_error("prior", "a prior is an option of the smp methods, {method} has none", method=spec.method)
    if spec.teacher is not None and spec.trains_nothing:
        raise spec_error("teacher", "{what} does not train; leave teacher out", what=_one_shot(spec))
    if spec.distill_states and spec.trains_nothing:
        raise spec_error("distill_states", "{what} does not train; leave distill_states out", what=_one_shot(spec))


def _check_sparsity_by(spec: SpecFields) -> None:
    """Check ``sparsity_by`` as far as possible without the matrices; :mod:`pruning.masking.layer_sparsity` does the rest."""
    if not spec.sparsity_by:
        return
    if spec.method_info.sparsity == "emerges":
        raise spec_error(
            "sparsity_by",
            "the sparsity of method {method} emerges and cannot be set, nor for single matrices; leave sparsity_by "
            "out, or use smp-s",
            method=spec.method,
        )
    if spec.method_info.counted_by is None:
        raise spec_error(
            "sparsity_by", "method {method} has no sparsity of single matrices; leave sparsity_by out", method=spec.method
        )
    if spec.pattern == "2:4" and any(own not in (0, 0.5) for own in spec.sparsity_by.values()):
        raise spec_error("sparsity_by", "with pattern 2:4 a matrix is dense (0) or 2:4 (0.5); give one of the two")
    if spec.method == "smp-s" and spec.surplus == "drop" and spec.pattern != "2:4":
        raise spec_error(
            "sparsity_by",
            "surplus drop, which preset upstream pins, loses weights, so the sparsity over all is not kept; leave "
            "sparsity_by out, or set surplus to redistribute",
        )


def _check_tier(spec: SpecFields) -> None:
    asked = [name for name in ("train_biases", "train_readout") if getattr(spec, name)]
    if spec.tier == "masks+extras":
        if spec.trains_nothing:
            raise spec_error("tier", "{what} does not train; leave tier out", what=_one_shot(spec))
        if spec.method_info.trains_weights:
            raise spec_error(
                "tier",
                "method {method} trains the masked weights, which no tier bounds; leave tier out, or set train_biases and "
                "train_readout",
                method=spec.method,
            )
        if not asked:
            raise spec_error(
                "tier",
                "without train_biases and train_readout tier masks+extras has nothing to train; leave tier out, or one of "
                "the two in",
            )
    if asked and spec.trains_nothing:
        raise spec_error(asked[0], "{what} does not train; leave {field} out", what=_one_shot(spec), field=asked[0])


def _check_devices(spec: SpecFields) -> None:
    if spec.devices == 1:
        return
    if spec.trains_nothing:
        raise spec_error("devices", "{what} does not train, for which one device is enough; set devices to 1", what=_one_shot(spec))
    if spec.method == "l0":
        raise spec_error("devices", "method l0 draws its gates at random, which has to be done in one place; set devices to 1")
    if spec.batch_size < spec.devices:
        raise spec_error(
            "devices",
            "a micro-batch of {rows} rows cannot be shared by {devices} devices; raise batch_size",
            rows=spec.batch_size,
            devices=spec.devices,
        )


def _check_baseline(spec: SpecFields) -> None:
    if spec.baseline and spec.trains_nothing:
        raise spec_error(
            "baseline",
            "{what} does not train, so there is no number of steps for which to train the dense model; leave baseline out",
            what=_one_shot(spec),
        )


def _check_class_weights(spec: SpecFields) -> None:
    kind, given, classes = spec.task_info.kind, spec.class_weights, spec.task_info.classes
    if given is None:
        return
    if kind in _UNWEIGHTED:
        raise spec_error("class_weights", "{reason}; leave class_weights out", reason=_UNWEIGHTED[kind])
    if spec.trains_nothing:
        raise spec_error("class_weights", "{what} has no loss to weigh; leave class_weights out", what=_one_shot(spec))
    if given != "balanced" and len(given) != classes:
        raise spec_error(
            "class_weights",
            "class_weights has {got} numbers, the task {task} has {expected} classes; give one number per class, "
            "in class-id order, or balanced",
            got=len(given),
            task=spec.task_info.name,
            expected=classes,
        )


def _check_bad_rows(spec: SpecFields) -> None:
    if (spec.on_bad_rows == "skip") != (spec.bad_rows_limit is not None):
        raise spec_error(
            "bad_rows_limit",
            "with on_bad_rows {what} bad_rows_limit must be {must}; leave it out, or set on_bad_rows to {other}",
            what=spec.on_bad_rows,
            must="null" if spec.bad_rows_limit is not None else "a share of the rows",
            other="skip" if spec.on_bad_rows == "refuse" else "refuse",
        )


def _check_keep(spec: SpecFields) -> None:
    if spec.keep == "last":
        return
    if spec.trains_nothing:
        raise spec_error("keep", "{what} makes one mask, at once, so there is none to choose; leave keep out", what=_one_shot(spec))
    if spec.method_info.sparsity == "emerges":
        raise spec_error(
            "keep",
            "method {method} finds its sparsity, so its masks keep different numbers of weights and cannot be compared; "
            "leave keep out",
            method=spec.method,
        )


def _one_shot(spec: SpecFields) -> str:
    return f"method {spec.method}" + (" with one_shot" if spec.one_shot else "")
