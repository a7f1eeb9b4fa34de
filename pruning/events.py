"""Events and exit codes of the trainer: one JSON object per line on its standard output, validated by pydantic.

Written by ``python -m pruning``, read by the worker; both validate against the classes here, so this file is the contract.
Torch-free. Nothing but these lines goes to standard output (what libraries print is sent to stderr).
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Phase = Literal["validating", "downloading", "tokenizing", "training", "evaluating", "saving", "exporting", "baseline"]


class ExitCode(IntEnum):
    """How the trainer ended; 65 and 75 are EX_DATAERR and EX_TEMPFAIL of sysexits.h."""

    OK = 0
    BUG = 1  # an unexpected exception; the traceback is on stderr
    PERMANENT = 65  # an ErrorEvent of kind "permanent" was the last line
    TEMPORARY = 75  # an ErrorEvent of kind "temporary" was the last line
    STOPPED = 80  # SIGTERM was honoured: checkpoint written where there was something to save
    PEER_LOST = 81  # of one of several ranks: another one has ended. Never that of a whole run, see pruning.cli.torchrun


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    time: datetime = Field(default_factory=lambda: datetime.now(UTC))


class PhaseEvent(_Event):
    """The run entered a phase."""

    event: Literal["phase"] = "phase"
    phase: Phase
    message: str = ""


class StartedEvent(_Event):
    """Validation is over and training begins."""

    event: Literal["started"] = "started"
    total_steps: int
    resumed_from: int = 0
    """Steps taken from a checkpoint; 0 for a fresh run."""
    model_revision: str | None
    """Commit of a hub model; None for a local folder."""
    base_digest: str
    """sha-256 of the base weights, as in the mask file."""
    matrices: int
    masked_weights: int
    train_rows: int
    validation_rows: int
    device: str
    versions: dict[str, str]
    validation_share: float | None = None
    """Share of the training split that is held out, which a data set of the hub without a validation split decides."""
    class_weights: list[float] | None = None
    """Weight of each class in the loss, in class-id order; None where rows are not weighted."""


class StepEvent(_Event):
    """Progress of training; sent about once a second and at the last step."""

    event: Literal["step"] = "step"
    step: int = Field(ge=1)
    """Optimizer steps completed."""
    total_steps: int
    epoch: float
    loss: float
    """Task loss of this step, without the regulariser."""
    regularizer: float
    """R(S), without its weight λ."""
    remaining: float = Field(ge=0, le=1)
    """Share of masked weights kept in this step."""
    learning_rate: float
    grad_norm: float
    rows_per_second: float
    eta_seconds: float = Field(ge=0)
    signal_to_noise: float | None = None
    """ρ of the scores' gradients (:mod:`pruning.masking.signal_meter`) as it was last measured: 0.053 for noise alone, 1 for no
    noise. None where no scores are trained, and in the first steps."""


class EvaluationEvent(_Event):
    """Metrics on the validation rows."""

    event: Literal["evaluation"] = "evaluation"
    step: int
    stage: Literal["before", "during", "final"]
    """before: the dense model, untrained; final: the mask that is delivered."""
    remaining: float
    metrics: dict[str, float]
    predicted: list[int] | None = None
    """Rows of the first split that were given each class, by class id; None for tasks without classes."""
    constant_prediction: bool = False
    """Whether all rows of the first split got the same prediction although their labels differ."""
    signal_to_noise: float | None = None
    """Signal-to-noise of the scores' gradients, as in :class:`StepEvent`."""


class BaselineEvent(_Event):
    """Progress of the baseline's training; sent every second at first, every minute in the end, and after the last step."""

    event: Literal["baseline"] = "baseline"
    step: int = Field(ge=1)
    """Optimizer steps completed."""
    total_steps: int
    loss: float
    learning_rate: float
    rows_per_second: float
    """Seconds since the first step."""
    eta_seconds: float = Field(ge=0)
    metrics: dict[str, float] | None = None
    """Metrics on the validation rows, after the last step."""


class CheckpointEvent(_Event):
    """A checkpoint is completely on disk; the run can resume from this step."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int


class ArtifactEvent(_Event):
    """A file under the work folder is complete and may be stored."""

    event: Literal["artifact"] = "artifact"
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """File name under ``<work>/artifacts/``."""
    media_type: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def from_file(cls, path: Path, media_type: str) -> Self:
        """The event for a complete file, with its size and digest as they are now. Raises OSError."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(name=path.name, media_type=media_type, bytes=path.stat().st_size, sha256=sha256)


class LogEvent(_Event):
    """A message for the user."""

    event: Literal["log"] = "log"
    level: Literal["info", "warning"] = "info"
    message: str


class WarningEvent(_Event):
    """Reason to doubt the result; stored with the job, one of each code. It changes no state."""

    event: Literal["warning"] = "warning"
    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """One of :data:`pruning.quality.catalog.WARNINGS`."""
    message: str = Field(max_length=1000)
    remedy: str = Field(max_length=1000)


class ErrorEvent(_Event):
    """Failure that ends the run; always the last line."""

    event: Literal["error"] = "error"
    kind: Literal["permanent", "temporary"]
    code: str
    message: str
    param: str | None = None


class FinishedEvent(_Event):
    """All artifacts are written; always the last line of a run that succeeded."""

    event: Literal["finished"] = "finished"
    metrics: dict[str, Any]
    """Training: ``before``, ``final`` (metric name → value), ``primary_metric``, ``remaining``, ``sparsity``,
    ``seconds``, ``steps``, ``masked_weights``, ``kept_weights``, ``mask_bytes``, ``compact_mask_bytes``,
    ``checkpoint_bytes`` (the base model's weight files), ``skipped_rows``, ``kept_step`` and ``last`` (``keep``),
    ``extra_parameters`` (trained outside the masked matrices), ``extra_share`` (of the masked weights),
    ``weights_bytes`` (0: nothing but masks), ``baseline`` (of the dense model,
    fine-tuned: ``metrics``, ``steps``, ``learning_rate``, ``seconds``, ``rows_per_second``; None where none was asked for).
    Exports: the content of ``exports.json``. Evaluation: the content of ``evaluation.json``."""


Event = Annotated[
    PhaseEvent
    | StartedEvent
    | StepEvent
    | EvaluationEvent
    | BaselineEvent
    | CheckpointEvent
    | ArtifactEvent
    | LogEvent
    | WarningEvent
    | ErrorEvent
    | FinishedEvent,
    Field(discriminator="event"),
]
EventSink = Callable[[Event], None]
"""Where events go: the program writes them to standard output, tests collect them."""
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_line(line: str | bytes) -> Event:
    """One line of the trainer's output. Raises ValueError (pydantic.ValidationError) for anything else."""
    return _ADAPTER.validate_json(line)
