"""Table of jobs, with constraints that refuse impossible states: an ended job without an end, a success without a mask.

A job prunes, or it exports or evaluates the mask of a job that has succeeded. All kinds are claimed, run, requeued and retried
in the same way.
"""

from datetime import datetime
from typing import Any, Protocol, TypedDict

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db.clock import now_sql
from service.db.models.access import LOCAL, OWNER_LENGTH
from service.db.models.base import JSON_OBJECT, Base
from service.db.models.list_indexes import LISTED_LENGTH, default_from_spec, devices_from_spec, list_indexes
from service.db.models.webhook import Webhook
from service.ids import new_job_id
from service.states import TERMINAL, JobKind, Status


def _sql_list(statuses: frozenset[Status] | type[Status]) -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


QUEUED = "status = 'queued'"
MANY_DEVICES = f"{QUEUED} AND (devices > 1 OR devices IS NULL)"
"""SQL conditions of indexes; a statement that is to use such an index has the same words in it."""


def _known(column: str) -> Index:
    """An index of the rows that have a value: most have none, and every claim would write an entry of theirs."""
    where = text(f"{column} IS NOT NULL")
    return Index(f"ix_jobs_{column}_known", column, postgresql_where=where, sqlite_where=where)


class Failure(TypedDict):
    """Failure of a job, as the API shows it."""

    code: str
    """Stable identifier."""
    message: str
    """Remedy, a sentence."""
    param: str | None
    """The field of the spec at fault."""
    kind: str
    """``user``: the request must change; ``system``: it need not."""
    retryable: bool
    """Whether the same job may succeed later."""


class RunWarning(TypedDict):
    """Reason to doubt the result of a job, as the API shows it."""

    code: str
    """Stable identifier."""
    message: str
    remedy: str
    """Remedy, a sentence."""


class KindColumns(Protocol):
    """Columns that determine a job's kind, of an entity or of a plain row."""

    @property
    def export_of(self) -> Any: ...
    @property
    def evaluation(self) -> Any: ...


def kind_of(job: KindColumns) -> JobKind:
    """The kind of a job, by its row."""
    if job.export_of is None:
        return JobKind.PRUNING
    return JobKind.EXPORT if job.evaluation is None else JobKind.EVALUATION


class Job(Base):
    """One job.

    ``service.jobs.transitions`` is the only writer of ``status``; see ``service.jobs.claims`` for who writes the rest.

    A running job's row is changed twice every few seconds. None of the columns that heartbeats and steps write is in an index, and
    on PostgreSQL three tenths of each page are left free (a row takes at most a quarter of one), so that a new version lies in the
    page of the old and no index is written. A column of theirs in an index would triple what such a change writes.
    """

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_job_id)
    status: Mapped[Status] = mapped_column(
        Enum(Status, native_enum=False, create_constraint=False, length=16, values_callable=lambda of: [*of]), default=Status.QUEUED
    )
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), default=LOCAL, server_default=LOCAL)
    """The owner who submitted it; hidden from other owners."""
    spec: Mapped[dict[str, Any]]
    """The resolved PruningSpec."""
    model: Mapped[str | None] = mapped_column(String(LISTED_LENGTH), default=default_from_spec("model"))
    """Repeats a field of ``spec``, as do the next two: a list would have to read the JSON of every job."""
    task: Mapped[str | None] = mapped_column(String(LISTED_LENGTH), default=default_from_spec("task"))
    """Task by name; None for a custom task."""
    method: Mapped[str | None] = mapped_column(String(LISTED_LENGTH), default=default_from_spec("method"))
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    """The user's own key-value pairs; ``metadata`` in SQL and in the API, a name that SQLAlchemy reserves here."""
    priority: Mapped[int] = mapped_column(default=0)
    """Higher values are claimed first."""
    max_duration: Mapped[float | None]
    """Time limit of one attempt, in seconds."""
    exports: Mapped[list[str] | None] = mapped_column(JSON_OBJECT)
    """Names of the formats to export the mask to; None for none."""
    devices: Mapped[int | None] = mapped_column(default=devices_from_spec)
    """Devices it asks for, repeated from ``spec`` because every claim compares it; None in rows of a version without the column."""
    export_of: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """The job whose mask this one exports or, with an ``evaluation``, evaluates; None for a job that prunes."""
    evaluation: Mapped[dict[str, Any] | None] = mapped_column(JSON_OBJECT)
    """What the mask is evaluated on: ``dataset``, ``config``, ``split``, ``rows``, ``dense``; None for the other kinds."""
    protocol: Mapped[int] = mapped_column(default=1, server_default="1")
    """The protocol that a worker must know to run it: see ``service.protocol``."""
    retried_from: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    """The failed or cancelled job that this one repeats."""
    sweep_id: Mapped[str | None] = mapped_column(ForeignKey("sweeps.id", ondelete="SET NULL"))
    """The sweep of which it is one combination."""

    attempt: Mapped[int] = mapped_column(default=0)
    """Attempts begun; also the fencing token: a write with an older number is refused."""
    attempts_spent: Mapped[int] = mapped_column(default=0)
    """Attempts that were lost or failed for an outside reason; requeuing at a worker's shutdown does not count."""
    worker_id: Mapped[str | None] = mapped_column(String(100))
    """The last worker that claimed it; not a foreign key, because workers are deleted."""
    lease_expires_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(default=now_sql())
    """A queued job is not claimed earlier (back-off)."""
    lease_expiries: Mapped[int] = mapped_column(default=0, server_default="0")
    """Attempts that were lost with their worker."""
    claimed_at: Mapped[datetime | None]
    """Start of the last attempt."""
    run_seconds: Mapped[float] = mapped_column(default=0, server_default="0")
    """Duration of all ended attempts together."""
    device: Mapped[str | None] = mapped_column(String(40))
    """The device of the last attempt, e.g. ``cuda:0``."""
    cancel_requested_at: Mapped[datetime | None]
    """Set while a request of the user is open on a running job; honoured by every transition out of ``running``."""
    pause_requested_at: Mapped[datetime | None]

    phase: Mapped[str | None] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    """Optimizer steps completed."""
    total_steps: Mapped[int | None]
    eta_seconds: Mapped[float | None]
    progress_at: Mapped[datetime | None]
    """When phase or progress last changed."""
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The latest value of each metric."""
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """A ``Failure``; on a queued job, why the last attempt did not finish."""
    warnings: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON_OBJECT)
    """Each a ``RunWarning``, one of each code; None for none."""
    mask_artifact_id: Mapped[int | None] = mapped_column(ForeignKey("artifacts.id", use_alter=True))
    event_seq: Mapped[int] = mapped_column(default=0)
    """Sequence number of the job's last event."""
    record_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Bytes of its spec, metadata, events and metrics, as JSON; for quotas."""
    checkpoint_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Bytes of its checkpoints, which are kept until it ends; copies in the object storage are not counted again."""
    trace_context: Mapped[dict[str, Any] | None] = mapped_column(JSON_OBJECT)
    """Trace context (W3C) of the request that submitted it; None where that was not traced."""

    webhook: Mapped[Webhook | None] = relationship(viewonly=True)
    """The webhook that was submitted with it."""

    created_at: Mapped[datetime] = mapped_column(default=now_sql())
    started_at: Mapped[datetime | None]
    """Start of the first attempt."""
    finished_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        CheckConstraint(f"status IN ({_sql_list(Status)})", "status_known"),
        CheckConstraint(f"(finished_at IS NOT NULL) = (status IN ({_sql_list(TERMINAL)}))", "finished_when_terminal"),
        CheckConstraint("(mask_artifact_id IS NOT NULL) = (status = 'succeeded' AND export_of IS NULL)", "mask_when_succeeded"),
        CheckConstraint("export_of IS NULL OR exports IS NOT NULL", "exports_named"),
        CheckConstraint("(lease_expires_at IS NOT NULL) = (status = 'running')", "lease_when_running"),
        CheckConstraint("status <> 'failed' OR error IS NOT NULL", "error_when_failed"),
        CheckConstraint("status NOT IN ('queued', 'paused') OR cancel_requested_at IS NULL", "cancel_wish_honoured"),
        CheckConstraint("status = 'running' OR pause_requested_at IS NULL", "pause_wish_honoured"),
        CheckConstraint("attempts_spent >= 0 AND attempts_spent <= attempt", "attempts_counted"),
        CheckConstraint("step >= 0 AND event_seq >= 0", "counters_positive"),
        # the claim; a condition with the status in words, because a plan for any status could not use it
        Index("ix_jobs_claim", priority.desc(), "created_at", "id", postgresql_where=text(QUEUED), sqlite_where=text(QUEUED)),
        Index("ix_jobs_many_devices", "devices", postgresql_where=text(MANY_DEVICES), sqlite_where=text(MANY_DEVICES)),
        # jobs that no worker knows yet
        Index("ix_jobs_protocol", "protocol", postgresql_where=text(QUEUED), sqlite_where=text(QUEUED)),
        Index(None, "status"),  # running jobs, and how many of each
        *list_indexes(),
        Index(None, "owner", "status", "id"),  # queued jobs of an owner, and the bytes of all
        _known("finished_at"),  # retention
        _known("sweep_id"),  # the jobs of a sweep
        _known("retried_from"),  # the retries of a deleted job
        _known("mask_artifact_id"),  # whether a deleted artifact is a mask
        Index(  # its exports and evaluations, also when they are listed
            None, "export_of", postgresql_where=text("export_of IS NOT NULL"), sqlite_where=text("export_of IS NOT NULL")
        ),
    )
