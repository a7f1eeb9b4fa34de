"""Response models of the client. Unknown fields are allowed and kept: an older client reads a newer service."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from espalier.client.dry_run import DryRun as DryRun
from espalier.client.dry_run import PatternShare as PatternShare
from espalier.client.dry_run import QueuePlace as QueuePlace
from espalier.client.dry_run import TimeEstimate as TimeEstimate
from espalier.client.job import ENDED as ENDED
from espalier.client.job import Artifact as Artifact
from espalier.client.job import Job as Job
from espalier.client.job import JobResult as JobResult
from espalier.client.job import JobWarning as JobWarning
from espalier.client.job import MetricRow as MetricRow
from espalier.client.job import NamedValues as NamedValues
from espalier.client.job import Problem as Problem
from espalier.client.job import Progress as Progress
from espalier.client.resource import Resource


class Event(Resource):
    """Event of a job; ``seq`` numbers them from 1 without gaps."""

    seq: int
    type: str
    attempt: int = 0
    """The attempt it happened in."""
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None


class JobPage(Resource):
    """Part of a list of jobs; ``next_cursor`` is the ``after`` of the next part."""

    data: list[Job]
    has_more: bool = False
    next_cursor: str | None = None

    @classmethod
    def received(cls, data: Any, service: str) -> Self:
        """The page that ``service`` sent as ``data``. Raises NotEspalierError."""
        rows = data.get("data") if isinstance(data, Mapping) else None
        return cls.model_validate({**data, "data": [Job.received(row, service) for row in rows]} if rows else data)


class DatasetColumn(Resource):
    """A column of a split: how many rows hold which kind of value, and the values themselves where they are few."""

    name: str
    kinds: dict[str, int] = Field(default_factory=dict)
    values: list[str | int | float] | None = None
    entries: list[str | int | float] | None = None
    """Column of lists: their distinct entries, where they are few."""
    holds: str | None = None
    """Use of the nested values of every row: ``words``, ``tags`` or ``answers``."""


class DatasetSplit(Resource):
    """A split of a data set."""

    name: str
    rows: int
    bytes: int = 0
    columns: list[DatasetColumn] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """Decisions made while reading the file: its separator, columns that were left out or stored in another form."""


class Dataset(Resource):
    """An uploaded data set; a custom task names it by ``id``."""

    id: str
    name: str | None = None
    sha256: str | None = None
    splits: list[DatasetSplit] = Field(default_factory=list)
    created_at: datetime | None = None

    def __repr__(self) -> str:
        rows = ", ".join(f"{split.name}: {split.rows} rows" for split in self.splits)
        return f"<Dataset {', '.join(filter(None, (self.id, self.name, rows)))}>"

    __str__ = __repr__


class Entity(Resource):
    """An entity in a text: its type, its words from ``start`` up to, but without, ``end``, and these as text."""

    type: str
    start: int
    end: int
    text: str


class Prediction(Resource):
    """Prediction of a job's masked model for one text or pair."""

    value: int | float | str | list[int] | list[str]
    """Class id; for a regression the number, for a question the answer ("" where there is none), for a multilabel task the ids of
    the labels, for token classification the tag of each word."""
    label: str | None = None
    """Name of the class."""
    probabilities: dict[str, float] | None = None
    """Probability of each class by name; for a multilabel task of each label separately."""
    labels: list[str] | None = None
    """Names of a multilabel task's labels whose probability is at least the mask's threshold."""
    words: list[str] | None = None
    """Token classification: the words."""
    entities: list[Entity] | None = None
    """Token classification: the entities of the tags."""


class PredictionList(Resource):
    """Predictions in the order of the texts."""

    data: list[Prediction]


class SweepRow(Resource):
    """One combination of a sweep, with the result of its newest job."""

    method: str
    sparsity: float
    seed: int
    job_id: str | None = None
    status: str | None = None
    metric: float | None = None
    remaining: float | None = None
    mask_bytes: int | None = None
    compact_mask_bytes: int | None = None
    seconds: float | None = None


class SweepMean(Resource):
    """One method at one sparsity, over the seeds whose jobs have succeeded."""

    method: str
    sparsity: float
    runs: int
    metric: float | None = None
    lowest: float | None = None
    highest: float | None = None
    remaining: float | None = None
    compact_mask_bytes: float | None = None


class SweepResults(Resource):
    """Results so far; ``metric`` is the name of the metric, ``dense`` its value for the dense model, zero-shot, ``fine_tuned``
    for the dense model of the jobs' baselines."""

    metric: str | None = None
    dense: float | None = None
    fine_tuned: float | None = None
    baseline: float | None = None
    rows: list[SweepRow] = Field(default_factory=list)
    means: list[SweepMean] = Field(default_factory=list)


class Sweep(Resource):
    """A grid of jobs that were submitted as one; ``jobs`` counts them by state."""

    id: str
    status: str
    progress: float = 0.0
    jobs: dict[str, int] = Field(default_factory=dict)
    base: dict[str, Any] = Field(default_factory=dict)
    methods: list[str] = Field(default_factory=list)
    sparsities: list[float] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    results: SweepResults | None = None
    """None in a list."""
    created_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether every job has ended."""
        return self.status == "ended"

    def __repr__(self) -> str:
        jobs = (f"{count} {status}" for status, count in self.jobs.items() if count)
        words = ", ".join(filter(None, (str(self.base.get("model", "")), *jobs)))
        return f"<Sweep {self.id} {self.status} {self.progress:.0%}: {words}>"

    __str__ = __repr__


class Webhook(Resource):
    """A URL that receives messages about jobs; ``secret`` only in the response that created it."""

    id: str
    url: str
    events: list[str] = Field(default_factory=list)
    job_id: str | None = None
    enabled: bool = True
    disabled_reason: str | None = None
    secret: str | None = Field(None, repr=False)
    created_at: datetime | None = None


class Delivery(Resource):
    """A message of a webhook and its state: ``pending``, ``delivered`` or ``failed``."""

    id: str
    type: str
    job_id: str | None = None
    """None for a test message."""
    status: str
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    created_at: datetime | None = None


class Task(Resource):
    """A task known by name, with its defaults."""

    name: str
    kind: str
    dataset: str
    text: list[str] = Field(default_factory=list)
    """Columns that are read."""
    label_words: list[str] = Field(default_factory=list)
    metrics: list[str] = Field(default_factory=list)
    epochs: float
    batch_size: int
    max_length: int
    local: bool = False
    """Whether the service has the data locally."""


class Method(Resource):
    """A pruning method."""

    name: str
    summary: str
    trains: str
    sparsity: str
    """``asked``, or ``emerges`` where another one may be reached."""
    two_four: bool = False
    learning_rate: float
    regularization: float
    default: bool = False


class SecretState(Resource):
    """The public part of a secret."""

    name: str
    set: bool
    set_at: datetime | None = None


class Readiness(Resource):
    """State of what a job needs."""

    checks: dict[str, Any]
