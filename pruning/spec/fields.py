"""Fields of a pruning spec with their types, bounds and defaults; a default may follow the task, the method or another field.

Apart from :class:`pruning.spec.schema.PruningSpec`, which adds the validation of fields against each other, so that
:mod:`pruning.spec.rules` can be typed against the fields without importing the class that calls it.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from pruning.spec.custom_task import MAX_CLASSES, ClassName, CustomTask, propose_words
from pruning.spec.method_info import MethodInfo
from pruning.spec.methods import METHODS, Method
from pruning.spec.tasks import TASKS, Task, resolve_task

BASELINE = ("baseline", "baseline_learning_rate")
"""Fields that no mask depends on."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


def _model_name(name: str) -> str:
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise PydanticCustomError(  # without a field's name: a teacher is named the same way
            "model_name", "{name} is neither a hub name (organisation/name) nor the name of a folder under the models directory",
            {"name": repr(name)},
        )  # fmt: skip
    return name


ModelName = Annotated[str, StringConstraints(max_length=200), AfterValidator(_model_name)]
Revision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200)]
TaskGiven = Annotated[
    Annotated[str, Tag("name")] | Annotated[CustomTask, Tag("custom")],
    Discriminator(lambda given: "name" if isinstance(given, str) else "custom"),
]


def _from_task(read: Callable[[Task], Any]) -> Callable[[dict[str, Any]], Any]:
    """Default of a field that follows the task; pydantic calls it only once the fields before it are valid."""
    return lambda data: read(resolve_task(data["task"]))


def _from_method(read: Callable[[MethodInfo], float]) -> Callable[[dict[str, Any]], float]:
    return lambda data: read(METHODS[data["method"]])


def _weight_learning_rate(data: dict[str, Any]) -> float:
    """Fine-tuning's rate for the masked weights; BitFit's (arXiv 2106.10199) for vectors and heads, which 3e-5 leaves where they
    began in a short run."""
    return 3e-5 if METHODS[data["method"]].trains_weights and not data["one_shot"] else 1e-3


def _head(task: Task) -> str:
    heads = {"span": "span", "multilabel": "classifier", "token-classification": "token-classifier"}
    return heads.get(task.kind, "label-words")


def _label_words(data: dict[str, Any]) -> tuple[str, ...]:
    """The task's words; where it has none and the head needs some, one of each class name."""
    task = resolve_task(data["task"])
    if task.label_words or data["head"] != "label-words":
        return task.label_words
    return propose_words(task.labels or ())


def _trained_by_tier(data: dict[str, Any]) -> bool:
    return bool(data["tier"] == "masks+extras")


def _epochs(data: dict[str, Any]) -> float | None:
    trains = METHODS[data["method"]].trains != "nothing" and not data["one_shot"]
    return resolve_task(data["task"]).epochs if trains and data["max_steps"] is None else None


class SpecFields(BaseModel):
    """The fields alone. A spec is a :class:`pruning.spec.schema.PruningSpec`, whose fields also fit each other.

    Shares (``sparsity``, ``ramp``, ``hold``) lie between 0 and 1; lengths are in tokens; cadences in optimizer steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = Field(1, description="Version of this schema")
    model: ModelName = Field(
        description="Folder under the models directory, a model on the hub, or the id of an uploaded one"
    )
    revision: Revision | None = Field(None, description="Branch, tag or commit of a hub model; default its main branch")
    task: TaskGiven = Field(description=f"One of {', '.join(sorted(TASKS))}, or a custom task on named columns")
    preset: Literal["espalier", "paper", "upstream"] = Field(
        "espalier", description="paper / upstream pin every point on which the paper and its code disagree"
    )

    method: Method = Field("smp-s", description="How scores and masks are made")
    pattern: Literal["unstructured", "2:4"] = Field("unstructured", description="Where zeros may lie")
    sparsity: float = Field(
        default_factory=lambda data: 0.5 if data["pattern"] == "2:4" else 0.9, ge=0, lt=1,
        description="Share of the masked weights to remove; without effect where the method's sparsity emerges",
    )  # fmt: skip
    one_shot: bool = Field(False, description="magnitude only: prune once, without training")
    head: Literal["label-words", "span", "classifier", "token-classifier"] = Field(
        default_factory=_from_task(_head),
        description="label-words: frozen MLM head, columns of the label words; default follows the task: multilabel has "
        "classifier, token-classification token-classifier",
    )
    label_words: tuple[ClassName, ...] = Field(
        default_factory=_label_words,
        max_length=MAX_CLASSES,
        description="One word per class, in class-id order, each a single token; default the task's, or made from its labels",
    )
    template: str | None = Field(
        None, min_length=1, max_length=500,
        description="label-words: text around a row's texts with the mask where the word is read, as '{text} It was {mask}.' or "
        "'{text_a}? {mask}, {text_b}'; lm-bff: that paper's for a GLUE task; default none, the word is read at the first token",
    )  # fmt: skip
    teacher: ModelName | None = Field(None, description="Fine-tuned model whose logits the run is distilled from")
    teacher_labels: tuple[ClassName, ...] | None = Field(
        None,
        max_length=MAX_CLASSES,
        description="The teacher's class names in the order of its logits, where its configuration has none",
    )
    distill_temperature: float = Field(2.0, gt=0, le=100, description="τ of the distillation loss")
    distill_share: float = Field(0.5, gt=0, le=1, description="Of the distillation loss; the task loss has the rest")
    tier: Literal["masks", "masks+extras"] = Field(
        "masks",
        description="masks: scores alone, the weights stay frozen; masks+extras: biases, norms and the read-out are trained as "
        "well, at most 0.5 % of the masked weights, and stored with the mask",
    )
    train_biases: bool = Field(
        default_factory=_trained_by_tier,
        description="Train biases and norms of the encoder as well; they are then stored with the mask; default follows tier",
    )
    train_readout: bool = Field(
        default_factory=_trained_by_tier,
        description="Train the read-out as well: the label words' rows and biases of the output embedding, or the last matrix of "
        "a classifier; it is then stored with the mask; default follows tier",
    )
    fit_readout: bool = Field(
        default_factory=lambda data: (
            data["preset"] == "espalier"
            and "classifier" in data["head"]
            and (data["one_shot"] or METHODS[data["method"]].trains == "nothing")
        ),
        description="Start the last matrix of a new classifier, or a read-out that is trained, at its ridge regression on the "
        "calibration rows, from the states of the dense model, in place of random numbers or the label words' rows; default true "
        "where nothing is trained that could move a new classifier, but for the presets paper and upstream",
    )
    calibrate_logits: bool = Field(
        default_factory=lambda data: (
            data["preset"] == "espalier" and data["head"] == "label-words" and not data["fit_readout"]
        ),
        description="label-words: scale and shift the logits so that the run starts at the frequencies of the classes; default "
        "true, but for the presets paper and upstream",
    )
    prior: Literal["wanda"] | None = Field(
        default_factory=lambda data: (
            "wanda" if data["preset"] == "espalier" and METHODS[data["method"]].takes_prior else None
        ),
        description="Start scores from this saliency instead of zero; default wanda for the smp methods, but for the presets "
        "paper and upstream",
    )
    prior_strength: float = Field(
        1.5, gt=0, le=100,
        description="Of the prior, in units of the spread that noise gives scores in a run: learning_rate * sqrt(steps / 3)",
    )  # fmt: skip
    prior_rows: int = Field(
        8000, ge=1, le=2**40,
        description="Rows seen in a run (steps * rows of a step) up to which the prior has its full strength; in longer runs it "
        "falls as prior_rows / rows seen, since the scores learn more than it knows",
    )  # fmt: skip
    calibration_rows: int = Field(
        default_factory=lambda data: 512 if data["fit_readout"] else 128, ge=1, le=100_000,
        description="Training rows, evenly spaced over the split, that wanda, the calibration of logits and fit_readout look at; "
        "default 128, with fit_readout 512",
    )  # fmt: skip

    max_steps: int | None = Field(None, ge=1, le=100_000_000, description="Optimizer steps; replaces epochs")
    epochs: float | None = Field(
        default_factory=_epochs,
        gt=0,
        le=10_000,
        description="Passes over the training rows; null when max_steps is given",
    )
    batch_size: int = Field(
        default_factory=_from_task(lambda task: task.batch_size), ge=1, le=4096, description="Rows per micro-batch"
    )
    gradient_accumulation: int = Field(1, ge=1, le=1024, description="Micro-batches per optimizer step")
    max_length: int = Field(
        default_factory=_from_task(lambda task: task.max_length), ge=8, le=8192,
        description="Longest input in tokens; the rest is cut off",
    )  # fmt: skip
    stride: int = Field(128, ge=1, le=8192, description="Spans only: tokens by which windows over a context overlap")
    train_rows: int | None = Field(None, ge=1, le=2**40, description="Use only the first rows of the training split")
    validation_rows: int | None = Field(
        None, ge=1, le=2**40, description="Use only the first rows of the validation split"
    )
    validation_share: float | None = Field(
        None, gt=0, le=0.5,
        description="Hold out this share of the training split for validation, at most 5,000 rows, in place of the validation "
        "split; default 0.1 where the data set has the training split alone",
    )  # fmt: skip

    learning_rate: float = Field(
        default_factory=_from_method(lambda info: info.learning_rate), ge=0, le=10,
        description="Of the scores; falls linearly to 0 over the run; default follows the method",
    )  # fmt: skip
    weight_learning_rate: float = Field(
        default_factory=_weight_learning_rate, gt=0, le=1,
        description="Of weights, biases, norms, read-out or a new head, where these are trained; falls likewise; default 3e-5 "
        "where the method trains the masked weights, else 1e-3",
    )  # fmt: skip
    max_grad_norm: float = Field(
        1.0, gt=0, le=1e9, description="All score gradients together are scaled down to this norm"
    )
    adam_epsilon: Literal["uncorrected", "corrected"] = Field(
        "uncorrected", description="Added to sqrt(v) before (reference code) or after (torch) bias correction"
    )
    regularization: float = Field(
        default_factory=_from_method(lambda info: info.regularization), ge=0, le=1e6,
        description="Final weight λ of the mean-sigmoid regulariser; default follows the method",
    )  # fmt: skip
    threshold: float = Field(0.1, gt=0, lt=0.5, description="τ of soft-movement: weights with σ(S) above it stay")
    regularization_ramp: Literal["run", "sparsity"] = Field(
        "run", description="λ rises over the whole run (reference code) or with the sparsity (paper)"
    )
    temperature: float = Field(1.0, gt=0, le=100, description="p of σ(S/p) in the allocation of smp-s")
    surplus: Literal["redistribute", "drop"] = Field(
        "redistribute",
        description="Weights allotted to an already full matrix go to the others, or are lost (reference code)",
    )
    ramp: float = Field(0.6, gt=0, le=1, description="Share of the run in which sparsity rises")
    hold: float = Field(
        default_factory=lambda data: round(1.0 - data.get("ramp", 0.0), 12), ge=0, le=1,
        description="Share of the run, at its end, at full sparsity; default 1 - ramp",
    )  # fmt: skip
    ramp_shape: Literal["cubic", "linear"] = Field("cubic", description="Shape of both ramps")
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Overrides the dropout of the checkpoint's configuration"
    )

    seed: int = Field(42, ge=0, lt=2**32, description="Of batch order and dropout")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="Of forward and backward in training; bf16 needs a device that has it; scores are always fp32",
    )
    eval_every: int | None = Field(
        None, ge=1, description="Steps between evaluations; default as many as cost about 5 % of the run"
    )
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints")
    baseline: bool = Field(
        False,
        description="After the mask also train the dense model by full fine-tuning, on the same batches for as many steps, and "
        "report its metrics beside the mask's; its weights are not kept",
    )
    baseline_learning_rate: float = Field(
        5e-5, gt=0, le=1,
        description="Of all weights of the baseline; rises over the first 6 % of the steps, then falls linearly to 0",
    )  # fmt: skip
    devices: int = Field(
        1, ge=1, le=64,
        description="GPUs of one host to train on, each with its share of every micro-batch; the masks are those of one "
        "device up to rounding, but with dropout, which each device draws by itself",
    )  # fmt: skip

    @property
    def task_info(self) -> Task:
        """The task's columns, kind and metrics, and the spec's template."""
        task = resolve_task(self.task)
        task = task if self.template is None else replace(task, template=self.template)
        return task if self.validation_share is None else task.holding_out(self.validation_share)

    @property
    def method_info(self) -> MethodInfo:
        """The method's row of the catalogue."""
        return METHODS[self.method]

    @property
    def trains_nothing(self) -> bool:
        """Whether the mask is made at once, without a training loop."""
        return self.one_shot or self.method_info.trains == "nothing"

    @property
    def of_the_mask(self) -> Self:
        """The same without what no mask depends on: two specs with equal ones make equal masks."""
        return self.model_copy(update={name: type(self).model_fields[name].default for name in BASELINE})

    @property
    def remaining(self) -> float:
        """Share of masked weights kept at the end; rounded so that 1 - 0.9 keeps exactly a tenth."""
        return round(1.0 - self.sparsity, 12)
