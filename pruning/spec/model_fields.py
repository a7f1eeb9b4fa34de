"""Fields of a pruning spec on model, task, method, head, teacher, prior and read-out: what a run starts from.

:mod:`pruning.spec.fields` adds those of data and training.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from pruning.spec.custom_task import MAX_CLASSES, CustomTask, propose_words
from pruning.spec.methods import Method, info_of
from pruning.spec.start import require_start_name
from pruning.spec.tasks import TASKS, Task, resolve_task
from pruning.spec.verbalizer import ClassName, ClassWords, Pieces

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_FOLLOWS_UP_TO = 0.95
"""Sparsity up to which a run is distilled from the dense states by default. MiniLM, SST-2, 1,000 x 8: 2.5 points better at 0.9
(held-out rows, six seeds), no difference at 0.97 (two)."""


def _model_name(name: str) -> str:
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise PydanticCustomError(  # without a field's name: a teacher is named the same way
            "model_name",
            "{name} is neither a hub name (organisation/name) nor the name of a folder under the models directory",
            {"name": repr(name)},
        )
    return name


ModelName = Annotated[str, StringConstraints(max_length=200), AfterValidator(_model_name)]
Revision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200)]
PathPattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
OwnSparsity = Annotated[float, Field(ge=0, lt=1)]
StartMask = Annotated[str, AfterValidator(require_start_name)]
TaskGiven = Annotated[
    Annotated[str, Tag("name")] | Annotated[CustomTask, Tag("custom")],
    Discriminator(lambda given: "name" if isinstance(given, str) else "custom"),
]


def from_task(read: Callable[[Task], Any]) -> Callable[[dict[str, Any]], Any]:
    """Default of a field that follows the task; pydantic calls it only once the fields before it are valid."""
    return lambda data: read(resolve_task(data["task"]))


def _head(task: Task) -> str:
    heads = {"span": "span", "multilabel": "classifier", "token-classification": "token-classifier"}
    return heads.get(task.kind, "label-words")


def _label_words(data: dict[str, Any]) -> tuple[ClassWords, ...]:
    """The task's words; where it has none and the head needs some, one of each class name."""
    task = resolve_task(data["task"])
    if task.label_words or data["head"] != "label-words":
        return task.label_words
    return propose_words(task.labels or ())


def _distill_states(data: dict[str, Any]) -> float:
    follows = data["preset"] == "espalier" and info_of(data["method"]).takes_prior and data["sparsity"] <= _FOLLOWS_UP_TO
    return 1.0 if follows else 0.0


def _trained_by_tier(data: dict[str, Any]) -> bool:
    return bool(data["tier"] == "masks+extras")


class ModelFields(BaseModel):
    """Fields on model, task, method and head, in the order in which their defaults follow each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = Field(1, description="Version of this schema")
    model: ModelName = Field(description="Folder under the models directory, a model on the hub, or the id of an uploaded one")
    revision: Revision | None = Field(None, description="Branch, tag or commit of a hub model; default its main branch")
    task: TaskGiven = Field(description=f"One of {', '.join(sorted(TASKS))}, or a custom task on named columns")
    preset: Literal["espalier", "paper", "upstream"] = Field(
        "espalier", description="paper / upstream pin every point on which the paper and its code disagree"
    )

    method: Method = Field("smp-s", description="How scores and masks are made")
    pattern: Literal["unstructured", "2:4"] = Field("unstructured", description="Where zeros may lie")
    sparsity: float = Field(
        default_factory=lambda data: 0.5 if data["pattern"] == "2:4" else 0.9,
        ge=0,
        lt=1,
        description="Share of the masked weights to remove; without effect where the method's sparsity emerges",
    )
    sparsity_by: dict[PathPattern, OwnSparsity] = Field(
        {},
        max_length=200,
        description='Sparsity of single matrices by patterns of their paths, as {"*.attention.*": 0.8, "encoder.layer.0.*": 0}; 0 '
        "leaves a matrix dense; the others share what sparsity leaves over all",
    )
    one_shot: bool = Field(False, description="magnitude only: prune once, without training")
    head: Literal["label-words", "span", "classifier", "token-classifier"] = Field(
        default_factory=from_task(_head),
        description="label-words: frozen MLM head, columns of the label words; default follows the task: multilabel has "
        "classifier, token-classification token-classifier",
    )
    pooling: Literal["first", "mean"] | None = Field(
        None,
        description="classifier of an encoder: whether it reads the first token's state or, as sentence-transformers' mean "
        "pooling, the mean over the tokens of the row; default null, what transformers' class of the model reads: the first "
        "token's state, of ModernBERT what its configuration says",
    )
    label_words: tuple[ClassWords, ...] = Field(
        default_factory=_label_words,
        max_length=MAX_CLASSES,
        description="One word per class, or the list of its words, in class-id order; the logit of a class is the mean of its "
        "words' logits; default the task's, or made from its labels",
    )
    label_word_pieces: Pieces = Field(
        "refuse",
        description="For a label word that is not a single token of the model: refuse the job, or take the mean of its pieces' "
        "rows and biases of the output embedding",
    )
    template: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="label-words: text around a row's texts with the mask where the word is read, as '{text} It was {mask}.' or "
        "'{text_a}? {mask}, {text_b}'; lm-bff: that paper's for a GLUE task; default none, the word is read at the first token",
    )
    teacher: ModelName | None = Field(None, description="Fine-tuned model whose logits the run is distilled from")
    teacher_labels: tuple[ClassName, ...] | None = Field(
        None,
        max_length=MAX_CLASSES,
        description="The teacher's class names in the order of its logits, where its configuration has none",
    )
    distill_temperature: float = Field(2.0, gt=0, le=100, description="τ of the distillation loss")
    distill_share: float = Field(0.5, gt=0, le=1, description="Share of the distillation loss; the task loss has the rest")
    distill_states: float = Field(
        default_factory=_distill_states,
        ge=0,
        le=100,
        description="Weight of the loss on hidden states (targets: the dense model); default 1: preset espalier, smp, up to 0.95",
    )
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
            and (data["one_shot"] or info_of(data["method"]).trains == "nothing")
        ),
        description="Start the last matrix of a new classifier, or a read-out that is trained, at its ridge regression on the "
        "calibration rows, from the states of the dense model, in place of random numbers or the label words' rows; default true "
        "where nothing is trained that could move a new classifier, except with the presets paper and upstream",
    )
    calibrate_logits: bool = Field(
        default_factory=lambda data: data["preset"] == "espalier" and data["head"] == "label-words" and not data["fit_readout"],
        description="label-words: scale and shift the logits so that the run starts at the frequencies of the classes; default "
        "true, except with the presets paper and upstream",
    )
    init_from: StartMask | None = Field(
        None,
        description="Start from this mask in place of the whole model: the id of a job that has succeeded, with the same model, "
        "or of an uploaded mask; or the SHA-256 of the file that python -m pruning train --init-mask is given. Needs a method "
        "that takes a prior",
    )
    prior: Literal["wanda"] | None = Field(
        default_factory=lambda data: "wanda" if data["preset"] == "espalier" and info_of(data["method"]).takes_prior else None,
        description="Start scores from this saliency instead of zero; default wanda for the smp methods, except with the presets "
        "paper and upstream",
    )
    prior_strength: float = Field(
        1.5,
        gt=0,
        le=100,
        description="Strength of the prior, in units of the spread that noise gives scores: learning_rate * sqrt(steps / 3)",
    )
    prior_rows: int = Field(
        8000,
        ge=1,
        le=2**40,
        description="Rows seen in a run (steps * rows of a step) up to which the prior has its full strength; in longer runs it "
        "falls as prior_rows / rows seen, because the scores then learn more than the prior contains",
    )
    prior_weights: int = Field(
        10_616_832,
        ge=1,
        le=2**40,
        description="Masked weights of a model for which prior_strength and prior_rows stand (default: those of a MiniLM with 6 "
        "layers). Of a model with r times as many, r at most 16, the strength is r ** 1.25 and the rows r times as large: the same "
        "rows say less of each weight",
    )
    calibration_rows: int = Field(
        default_factory=lambda data: 512 if data["fit_readout"] else 128,
        ge=1,
        le=100_000,
        description="Training rows, evenly spaced over the split, that wanda, the calibration of logits and fit_readout read; "
        "default 128, with fit_readout 512",
    )
