"""Response models of a job: its progress, result, files and curve; its display in terminals and notebooks.

Part of ``models.py``, where callers import it from. Unknown fields are allowed and kept: an older client reads a newer service.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from espalier.client import job_words, notebook
from espalier.client.resource import Resource

ENDED = frozenset({"succeeded", "failed", "cancelled"})
_ADDED = frozenset({"service", "curve"})
"""Fields of a job that the client fills in."""
_REPORT = "report.html"


class Progress(Resource):
    """Optimizer steps taken and to take; seconds still to go as the trainer estimates them."""

    step: int | None = None
    total_steps: int | None = None
    eta_seconds: float | None = None


class Problem(Resource):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None
    kind: str | None = None
    retryable: bool | None = None
    remedy: str = ""
    """Remedy; empty from an older service."""


class JobWarning(Resource):
    """Reason to doubt the result of a job, with its remedy."""

    code: str
    message: str
    remedy: str = ""


class Artifact(Resource):
    """A file that a job made."""

    name: str
    bytes: int
    sha256: str
    url: str


class NamedValues(dict[str, Any]):
    """A ``dict`` whose values are attributes as well: ``metrics["loss"]``, ``metrics.loss``; objects inside it likewise.

    An unknown name raises AttributeError, or KeyError, depending on the access.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"there is no {name} here; there are {', '.join(self) or 'no values yet'}")
        value = self[name]
        return NamedValues(value) if type(value) is dict else value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in self if name.isidentifier())})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(dict[str, Any]))


class JobResult(NamedValues):
    """Result of a job that succeeded: ``job.result.final["accuracy"]``, ``job.result.mask_bytes``.

    The result of an export job has ``exports`` instead; that of an evaluation ``final``, ``before`` (None unless requested),
    ``primary_metric``, ``rows``, ``splits``, ``dataset``, ``remaining`` and ``seconds``.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # for editors; the values are those of the dict
        primary_metric: str
        """Name of the metric that names the result."""
        before: dict[str, float]
        """Metrics of the dense model, zero-shot."""
        final: dict[str, float]
        """Metrics of the pruned one."""
        remaining: float
        """Share of the masked weights that is kept."""
        sparsity: float
        """Share removed, as reached."""
        sparsity_asked: float | None
        """Requested sparsity; None where the method determines it."""
        kept_weights: int
        masked_weights: int
        weights_changed: bool
        """Whether the run trained anything in addition to scores, which ``weights.safetensors`` then holds."""
        extra_parameters: int
        extra_share: float
        skipped_rows: int
        """Rows that the task cannot use, with ``on_bad_rows`` skip; the report has their numbers."""
        steps: int
        kept_step: int
        """Step whose mask is delivered: the last one, unless ``keep`` best found a better one."""
        last: dict[str, float] | None
        """With ``keep`` best: metrics of the mask after the last step; ``final`` has those of the delivered one."""
        seconds: float
        mask_bytes: int
        compact_mask_bytes: int
        weights_bytes: int
        checkpoint_bytes: int
        baseline: dict[str, Any] | None
        """The dense model, fine-tuned: ``metrics``, ``steps``, ``learning_rate``, ``seconds``, ``rows_per_second``; None where
        the job has no baseline."""
        exports: list[dict[str, Any]]


class MetricRow(Resource):
    """The metrics of one step."""

    step: int
    attempt: int = 0
    values: NamedValues = Field(default_factory=NamedValues)


class Job(Resource):
    """A pruning job as it was when the service sent it."""

    id: str
    status: str
    phase: str | None = None
    attempt: int = 0
    progress: Progress | None = None
    metrics: NamedValues | None = None
    """Latest value of each metric."""
    result: JobResult | None = None
    """Result, once the job has succeeded."""
    spec: dict[str, Any] = Field(default_factory=dict)
    error: Problem | None = None
    warnings: list[JobWarning] = Field(default_factory=list)
    """Reasons to doubt the result; they do not change the job's state."""
    artifacts: list[Artifact] = Field(default_factory=list)
    exports: list[str] = Field(default_factory=list)
    """Formats of the mask's exports."""
    export_of: str | None = None
    """The job whose mask this one exports; None for other kinds."""
    evaluation_of: str | None = None
    """The job whose mask this one evaluates; None for other kinds."""
    evaluation: dict[str, Any] | None = None
    """Rows that the mask is evaluated on: ``dataset``, ``config``, ``split``, ``rows``, ``dense``."""
    kind: str = "pruning"
    """``pruning``, ``export`` or ``evaluation``."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    paused_until: datetime | None = None
    """When a paused job is cancelled unless it is resumed."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    service: str | None = Field(None, exclude=True)
    """Address of the service that sent it, without user and password; None for a job that was not received by a client."""
    curve: list[MetricRow] | None = Field(None, exclude=True)
    """Metrics by step, where they were requested: ``get(job, curve=True)``."""

    @classmethod
    def received(cls, data: Any, service: str) -> Self:
        """The job that ``service`` sent as ``data``. Raises NotEspalierError."""
        if isinstance(data, Mapping):  # a newer service may use these names for other fields
            data = {name: value for name, value in data.items() if name not in _ADDED}
        return cls.model_validate(data).model_copy(update={"service": service})

    @property
    def ended(self) -> bool:
        """Whether the job is in a terminal state."""
        return self.status in ENDED

    @property
    def main_metric(self) -> job_words.MainMetric | None:
        """The metric that names the result: ``name``, ``before`` (dense model) and ``after``; None: nothing is measured yet."""
        return job_words.main_metric(self)

    @property
    def page_url(self) -> str | None:
        """Address of the job's page in a browser; None where the service is not known."""
        return None if self.service is None else f"{self.service}/jobs/{quote(self.id, safe='')}"

    def artifact(self, name: str) -> Artifact | None:
        """The artifact of that name, if the job has made it."""
        return next((artifact for artifact in self.artifacts if artifact.name == name), None)

    def __repr__(self) -> str:
        words = ", ".join(filter(None, (self._subject(), self._state(), str(self.main_metric or ""))))
        return f"<Job {job_words.short_id(self.id)} {words}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The job in a notebook: its state, its curve where it was requested, links to its page and report."""
        failure = "" if self.error is None else " ".join(filter(None, (self.error.message, self.error.remedy)))
        rows = {
            "state": self._state(),
            "job": self._subject(),
            "metric": str(self.main_metric or ""),
            "numbers": job_words.numbers(self, " · "),
            "error": failure,
            "warnings": "; ".join(warning.message for warning in self.warnings),
        }
        links = {}
        if self.page_url is not None:
            links["page"] = self.page_url
            if self.artifact(_REPORT) is not None:
                links["report"] = f"{self.page_url}/artifacts/{_REPORT}"
        return notebook.card(self.id, rows, links, notebook.curves(self._series()))

    def _subject(self) -> str:
        """Model, task, and method with the sparsity; of the other kinds the job whose mask it is."""
        if self.export_of is not None:
            return f"export of {job_words.short_id(self.export_of)} to {', '.join(self.exports)}"
        if self.evaluation_of is not None:
            return f"evaluation of {job_words.short_id(self.evaluation_of)} on {job_words.evaluated_rows(self.evaluation)}"
        sparsity = self.spec.get("sparsity")
        method = " ".join(str(part) for part in (self.spec.get("method"), sparsity) if part is not None)
        return ", ".join(filter(None, (str(self.spec.get("model", "")), job_words.task_name(self), method)))

    def _state(self) -> str:
        step, total = job_words.steps(self)
        done = f" {step}/{total}" if total and not self.ended and self.status != "queued" else ""
        phase = job_words.phase(self)
        return f"{self.status}{f' ({phase}{done})' if phase != self.status else done}"

    def _series(self) -> dict[str, notebook.Points]:
        """Loss, remaining weights and the task's metric by step."""
        rows = self.curve or ()
        metric = job_words.measured(self) or next(
            (name for row in rows for name in row.values if name.startswith("validation_")), None
        )
        names = {"loss": "loss", "remaining": "remaining"} | ({metric: job_words.metric_name(self)} if metric else {})
        return {
            label or name: [(row.step, row.values[name]) for row in rows if _is_finite(row.values.get(name))]
            for name, label in names.items()
        }


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
