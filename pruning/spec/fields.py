"""Fields of a pruning spec with their types, bounds and defaults; a default may follow the task, the method or another field.

Apart from :class:`pruning.spec.schema.PruningSpec`, which adds the validation of fields against each other, so that
:mod:`pruning.spec.rules` can be typed against the fields without importing the class that calls it. Those on model, task,
method and head are in :mod:`pruning.spec.model_fields`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field

from pruning.spec.class_weights import ClassWeightsGiven
from pruning.spec.method_info import MethodInfo
from pruning.spec.methods import info_of
from pruning.spec.model_fields import ModelFields, from_task
from pruning.spec.tasks import Task, resolve_task

BASELINE = ("baseline", "baseline_learning_rate")
"""Fields that no mask depends on."""
LATER = {"label_word_pieces": "refuse", "init_from": None, "prior_weights": 10_616_832, "distill_states": 0.0, "clip_apart": False}
"""Later fields, and the values at which a run is what it was before there were such fields. Masks and checkpoints hold other values
only, and a record without the field has this one."""

_NO_DROPOUT_UP_TO = 4
"""Epochs up to which a run with states of the dense model has no dropout by default. MiniLM, 1,000 x 8, 10 % remaining, without it:
SST-2 1.1 points better (0.12 epochs, six seeds), STS-B a correlation of 0.79 in place of 0.22 (1.4 epochs), MRPC 1.2 points better
(2.2), and 1,000 rows of SST-2 1.8 worse (8 epochs), one seed each."""


def _from_method(read: Callable[[MethodInfo], float]) -> Callable[[dict[str, Any]], float]:
    return lambda data: read(info_of(data["method"]))


def _weight_learning_rate(data: dict[str, Any]) -> float:
    """Fine-tuning's rate for the masked weights; BitFit's (arXiv 2106.10199) for vectors and heads, which 3e-5 leaves where they
    began in a short run."""
    return 3e-5 if info_of(data["method"]).trains_weights and not data["one_shot"] else 1e-3


def _clip_apart(data: dict[str, Any]) -> bool:
    """Biases, norms and the read-out have gradients 3 to 60 times those of all scores (norms 1 to 20, and 0.03 to 0.5, MiniLM on
    SST-2): one bound for both would scale the scores' gradients by what the others happen to be in a step."""
    extras = data["train_biases"] or data["train_readout"]
    return bool(data["preset"] == "espalier" and extras and not info_of(data["method"]).trains_weights)


def _epochs(data: dict[str, Any]) -> float | None:
    trains = info_of(data["method"]).trains != "nothing" and not data["one_shot"]
    return resolve_task(data["task"]).epochs if trains and data["max_steps"] is None else None


def _dropout(data: dict[str, Any]) -> float | None:
    """0 for runs with states of the dense model that repeat their rows little: dropout would be noise there; else None."""
    short = data["epochs"] is None or data["epochs"] <= _NO_DROPOUT_UP_TO
    return 0.0 if short and data["preset"] == "espalier" and data["distill_states"] else None


class SpecFields(ModelFields):
    """The fields of a spec without the rules between them. A spec is a :class:`pruning.spec.schema.PruningSpec`, whose fields also
    fit each other.

    Shares (``sparsity``, ``ramp``, ``hold``) lie between 0 and 1; lengths are in tokens; cadences in optimizer steps.
    """

    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Optimizer steps; replaces epochs")
    epochs: float | None = Field(
        default_factory=_epochs, gt=0, le=10_000, description="Passes over the training rows; null when max_steps is given"
    )
    batch_size: int = Field(
        default_factory=from_task(lambda task: task.batch_size), ge=1, le=4096, description="Rows per micro-batch"
    )
    gradient_accumulation: int = Field(1, ge=1, le=1024, description="Micro-batches per optimizer step")
    max_length: int = Field(
        default_factory=from_task(lambda task: task.max_length),
        ge=8,
        le=8192,
        description="Longest input in tokens; the rest is cut off",
    )
    stride: int = Field(128, ge=1, le=8192, description="Spans only: tokens by which windows over a context overlap")
    train_rows: int | None = Field(None, ge=1, le=2**40, description="Use only the first rows of the training split")
    validation_rows: int | None = Field(None, ge=1, le=2**40, description="Use only the first rows of the validation split")
    validation_share: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="Hold out this share of the training split for validation, at most 5,000 rows, in place of the validation "
        "split; default 0.1 where the data set has the training split alone; of a hub set the spec shows it when training begins",
    )
    on_bad_rows: Literal["refuse", "skip"] = Field(
        "refuse",
        description="Rows that the task cannot use (no label or an unknown one, no text, tags that are not IOB2, an answer that is "
        "not in its context): refuse the job at the first one, or skip them, count them and report their numbers",
    )
    bad_rows_limit: float | None = Field(
        default_factory=lambda data: 0.01 if data["on_bad_rows"] == "skip" else None,
        gt=0,
        lt=1,
        description="With on_bad_rows skip: largest share of a split's rows that is skipped, above it the job fails; default 0.01",
    )

    learning_rate: float = Field(
        default_factory=_from_method(lambda info: info.learning_rate),
        ge=0,
        le=10,
        description="Learning rate of the scores; falls linearly to 0 over the run; default follows the method",
    )
    weight_learning_rate: float = Field(
        default_factory=_weight_learning_rate,
        gt=0,
        le=1,
        description="Learning rate of all that is trained but scores; falls likewise; default 3e-5 with masked weights, else 1e-3",
    )
    max_grad_norm: float = Field(1.0, gt=0, le=1e9, description="All gradients together are scaled down to this norm")
    clip_apart: bool = Field(
        default_factory=_clip_apart,
        description="Bound the scores' gradients and all others each by max_grad_norm; default true: preset espalier with extras",
    )
    adam_epsilon: Literal["uncorrected", "corrected"] = Field(
        "uncorrected", description="Added to sqrt(v) before (reference code) or after (torch) bias correction"
    )
    regularization: float = Field(
        default_factory=_from_method(lambda info: info.regularization),
        ge=0,
        le=1e6,
        description="Final weight λ of the mean-sigmoid regulariser; default follows the method",
    )
    threshold: float = Field(0.1, gt=0, lt=0.5, description="τ of soft-movement: weights with σ(S) above it stay")
    regularization_ramp: Literal["run", "sparsity"] = Field(
        "run", description="λ rises over the whole run (reference code) or with the sparsity (paper)"
    )
    temperature: float = Field(1.0, gt=0, le=100, description="p of σ(S/p) in the allocation of smp-s")
    surplus: Literal["redistribute", "drop"] = Field(
        "redistribute", description="Weights allotted to an already full matrix go to the others, or are lost (reference code)"
    )
    ramp: float = Field(0.6, gt=0, le=1, description="Share of the run in which sparsity rises")
    hold: float = Field(
        default_factory=lambda data: round(1.0 - data.get("ramp", 0.0), 12),
        ge=0,
        le=1,
        description="Share of the run, at its end, at full sparsity; default 1 - ramp",
    )
    ramp_shape: Literal["cubic", "linear"] = Field("cubic", description="Shape of both ramps")
    dropout: float | None = Field(
        default_factory=_dropout,
        ge=0,
        lt=1,
        description="In place of the checkpoint's, which null keeps; default 0: preset espalier, distill_states, up to 4 epochs",
    )

    class_weights: ClassWeightsGiven | None = Field(
        None,
        description="Weights of the classes in the task loss, for rows that are not shared evenly among them: one positive number "
        "per class, in class-id order, or balanced: n / (classes * rows of the class), over the training rows that are used; "
        "multilabel: of the rows that have a label, balanced: rows without it / rows with it; default null, all rows have equal "
        "weight",
    )

    seed: int = Field(42, ge=0, lt=2**32, description="Seed of batch order and dropout")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="Precision of forward and backward passes in training; bf16 needs a device that has it; scores are always fp32",
    )
    eval_every: int | None = Field(
        None, ge=1, description="Steps between evaluations; default as many as cost about 5 % of the run"
    )
    keep: Literal["last", "best"] = Field(
        "last",
        description="Mask that is delivered: that of the last step, or of the evaluation at full sparsity with the best validation "
        "metric, which on these rows is biased upwards, because it selects the mask",
    )
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints")
    baseline: bool = Field(
        False,
        description="After the mask also train the dense model by full fine-tuning, on the same batches for as many steps, and "
        "report its metrics next to the mask's; its weights are not kept",
    )
    baseline_learning_rate: float = Field(
        5e-5,
        gt=0,
        le=1,
        description="Learning rate of all weights of the baseline; rises over the first 6 % of the steps, then falls linearly to 0",
    )
    devices: int = Field(
        1,
        ge=1,
        le=64,
        description="GPUs of one host to train on, each with its share of every micro-batch; the masks are those of one "
        "device up to rounding, except with dropout, which each device draws independently",
    )

    @property
    def task_info(self) -> Task:
        """The task's columns, kind and metrics, and the spec's template."""
        task = resolve_task(self.task)
        task = replace(task, template=self.template, bad_rows_limit=self.bad_rows_limit)
        return task if self.validation_share is None else task.holding_out(self.validation_share)

    @property
    def method_info(self) -> MethodInfo:
        """The method's row of the catalogue."""
        return info_of(self.method)

    @property
    def trains_nothing(self) -> bool:
        """Whether the mask is made at once, without a training loop."""
        return self.one_shot or self.method_info.trains == "nothing"

    @property
    def of_the_mask(self) -> Self:
        """The spec without the fields that no mask depends on: specs that are equal here make equal masks."""
        return self.model_copy(update={name: type(self).model_fields[name].default for name in BASELINE})

    @property
    def unsaid(self) -> set[str]:
        """Fields among :data:`LATER` that masks and checkpoints do not hold."""
        return {name for name, value in LATER.items() if getattr(self, name) == value}

    @property
    def remaining(self) -> float:
        """Share of masked weights kept at the end; rounded so that 1 - 0.9 keeps exactly a tenth."""
        return round(1.0 - self.sparsity, 12)
