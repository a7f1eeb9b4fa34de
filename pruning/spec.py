"""The one description of a pruning job: POST body, stored JSON and trainer argument are this class.

Torch-free, so that the API can refuse bad input before any work is done. Building a spec *resolves* it: fields left out
take the paper's value for the task, and ``model_dump()`` shows every one of them; parsing the dump again changes nothing.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)  # fmt: skip
from pydantic_core import PydanticCustomError

from pruning.presets import apply_preset
from pruning.tasks import TASKS, CustomTask, Task, Word, task_of

Method = Literal[
    "smp-s", "smp-l", "smp-g", "movement", "soft-movement", "magnitude", "l0", "wanda", "random"
]  # fmt: skip
METHODS_AVAILABLE: tuple[Method, ...] = ("smp-s", "smp-l")
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


def _refused(param: str, message: str, *, kind: str = "spec_conflict", **context: object) -> PydanticCustomError:
    """An error of the whole spec that still names the field to change (``ctx["param"]``)."""
    return PydanticCustomError(kind, message, {"param": param, **context})


def _not_available(field: str, value: object, instead: str) -> PydanticCustomError:
    return _refused(
        field,
        "{param} {value} is not available yet; {instead}",
        kind="not_available",
        value=repr(value),
        instead=instead,
    )


def _model_name(name: str) -> str:
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise _refused(
            "model", "{name} is neither a hub name (organisation/name) nor the name of a folder under the models directory",
            kind="model_name", name=repr(name),
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
    return lambda data: read(task_of(data["task"]))


def _epochs(data: dict[str, Any]) -> float | None:
    return None if data.get("max_steps") is not None else _from_task(lambda task: task.epochs)(data)


class PruningSpec(BaseModel):
    """Everything that decides the result of a pruning run.

    Shares (``sparsity``, ``ramp``, ``hold``) lie between 0 and 1; lengths are in tokens; cadences in optimizer steps.
    Raises pydantic.ValidationError naming the field: unknown names, values out of range, schedules that cannot fit, and
    fields whose implementation is not there yet (error type ``not_available``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(1, description="Version of this schema")
    model: ModelName = Field(description="Folder under the models directory, or a model on the hub")
    revision: Revision | None = Field(None, description="Branch, tag or commit of a hub model; default its main branch")
    task: TaskGiven = Field(description=f"One of {', '.join(sorted(TASKS))}, or a custom task on named columns")
    preset: Literal["espalier", "paper", "upstream"] = Field(
        "espalier", description="paper / upstream pin every point on which the paper and its code disagree"
    )

    method: Method = Field("smp-s", description="How scores and masks are made")
    sparsity: float = Field(0.9, ge=0, lt=1, description="Share of the masked weights to remove")
    pattern: Literal["unstructured", "2:4"] = Field("unstructured", description="Where zeros may lie")
    head: Literal["label-words", "span", "classifier"] = Field(
        default_factory=_from_task(lambda task: "span" if task.kind == "span" else "label-words"),
        description="label-words: frozen MLM head, columns of the label words; default follows the task",
    )
    label_words: tuple[Word, ...] = Field(
        default_factory=_from_task(lambda task: task.label_words),
        description="One word per class, in class-id order, each a single token; default follows the task",
    )
    teacher: ModelName | None = Field(None, description="Fine-tuned model whose logits the run is distilled from")
    train_biases: bool = Field(False, description="Train biases and norms as well; they are then stored with the mask")
    prior: Literal["wanda"] | None = Field(None, description="Start scores from this saliency instead of zero")

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
    train_rows: int | None = Field(None, ge=1, description="Use only the first rows of the training split")
    validation_rows: int | None = Field(None, ge=1, description="Use only the first rows of the validation split")

    learning_rate: float = Field(2e-2, gt=0, le=10, description="Of the scores; falls linearly to 0 over the run")
    max_grad_norm: float = Field(1.0, gt=0, description="All score gradients together are scaled down to this norm")
    adam_epsilon: Literal["uncorrected", "corrected"] = Field(
        "uncorrected", description="Added to sqrt(v) before (reference code) or after (torch) bias correction"
    )
    regularization: float = Field(400.0, ge=0, le=1e6, description="Final weight λ of the mean-sigmoid regulariser")
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
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Of forward and backward; scores are always fp32")
    eval_every: int | None = Field(
        None, ge=1, description="Steps between evaluations; default as many as cost about 5 % of the run"
    )
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints")
    devices: int = Field(1, ge=1, le=64, description="GPUs of one host to train on")

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return apply_preset(dict(given)) if isinstance(given, dict) else given

    @field_validator("task")
    @classmethod
    def _known_task(cls, task: str | CustomTask) -> str | CustomTask:
        if isinstance(task, str) and task not in TASKS:
            raise _refused(
                "task", "unknown task {task}; one of {known}, or an object with dataset, text and label_words",
                kind="unknown_task", task=repr(task), known=", ".join(sorted(TASKS)),
            )  # fmt: skip
        if task == "squad":
            raise _not_available("task", task, "use a GLUE task or a custom task")
        return task

    @field_validator("method")
    @classmethod
    def _method_available(cls, method: Method) -> Method:
        if method not in METHODS_AVAILABLE:
            raise _not_available("method", method, f"use one of {', '.join(METHODS_AVAILABLE)}")
        return method

    @field_validator("pattern", "head", "teacher", "train_biases", "prior", "precision", "devices")
    @classmethod
    def _value_available(cls, value: Any, info: Any) -> Any:
        available = {"pattern": ("unstructured",), "head": ("label-words",), "teacher": (None,), "train_biases": (False,),
                     "prior": (None,), "precision": ("fp32",), "devices": (1,)}[info.field_name]  # fmt: skip
        if value not in available:
            raise _not_available(info.field_name, value, f"use {available[0]!r}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse combinations that could only fail later."""
        if self.epochs is not None and self.max_steps is not None:
            raise _refused("epochs", "give epochs or max_steps, not both")
        if self.epochs is None and self.max_steps is None:
            raise _refused("epochs", "give epochs or max_steps; a run needs an end")
        if self.ramp + self.hold > 1 + 1e-9:
            raise _refused(
                "hold", "ramp ({ramp}) and hold ({hold}) are shares of one run and must add up to at most 1; lower one of them",
                ramp=self.ramp, hold=self.hold,
            )  # fmt: skip
        if self.max_steps is not None and self.max_steps * self.ramp < 1:
            raise _refused(
                "max_steps", "a ramp of {ramp} of {steps} steps has no step in which sparsity could rise; raise max_steps or ramp",
                ramp=self.ramp, steps=self.max_steps,
            )  # fmt: skip
        if self.eval_every is not None and self.max_steps is not None and self.eval_every > self.max_steps:
            raise _refused(
                "eval_every", "eval_every ({every}) must not exceed max_steps ({steps})",
                every=self.eval_every, steps=self.max_steps,
            )  # fmt: skip
        expected = len(self.task_table.label_words)
        if len(self.label_words) != expected:
            raise _refused(
                "label_words", "label_words has {got} words, the task {task} has {expected} classes; give one word per class",
                got=len(self.label_words), task=self.task_table.name, expected=expected,
            )  # fmt: skip
        if len(set(self.label_words)) != len(self.label_words):
            raise _refused(
                "label_words", "label_words must differ from each other, or two classes could not be told apart"
            )
        return self

    @property
    def task_table(self) -> Task:
        """The task's columns, kind and metrics."""
        return task_of(self.task)

    @property
    def remaining(self) -> float:
        """Share of masked weights kept at the end; rounded so that 1 - 0.9 keeps exactly a tenth."""
        return round(1.0 - self.sparsity, 12)


def explain(refusal: ValidationError) -> list[dict[str, str]]:
    """What is wrong with a spec, one entry per fault: ``param`` (dotted field), ``code`` and ``message``.

    Both ends that refuse specs use it: the API for its problem details, the trainer for its error event.
    """
    faults = []
    for error in refusal.errors():
        if error["type"] == "default_factory_not_called":
            continue  # a consequence of another fault in the list
        context = error.get("ctx", {})
        path = [str(part) for part in error["loc"] if part not in ("name", "custom")]
        faults.append({"param": context.get("param") or ".".join(path), "code": error["type"], "message": error["msg"]})
    return faults
