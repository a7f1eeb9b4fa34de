"""The table of jobs. The database itself refuses what must never be: a finished job without an end, a success without a mask.

A job prunes, or it exports: it turns the mask of a job that has succeeded into other forms. Both are claimed, run, lost and
brought back alike.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from service.db.clock import now_sql
from service.db.models.access import LOCAL, OWNER_LENGTH
from service.db.models.base import JSON_OBJECT, Base
from service.db.models.list_indexes import LISTED_LENGTH, default_from_spec, list_indexes
from service.ids import new_job_id
from service.states import TERMINAL, Status

if TYPE_CHECKING:
    from service.db.models.webhook import Webhook


def _listed(statuses: frozenset[Status] | type[Status]) -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


class Failure(TypedDict):
    """Why a job failed, as the API shows it."""

    code: str
    """Stable identifier."""
    message: str
    """A sentence that says what to do."""
    param: str | None
    """Field of the spec to blame."""
    kind: str
    """``user``: the request must change; ``system``: it need not."""
    retryable: bool
    """Whether the same job may succeed later."""


class Job(Base):
    """One job.

    ``service.jobs.transitions`` is the only writer of ``status``; see ``service.jobs.claims`` for who writes the rest.
    """

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_job_id)
    status: Mapped[Status] = mapped_column(
        Enum(Status, native_enum=False, create_constraint=False, length=16, values_callable=lambda of: [*of]),
        default=Status.QUEUED,
    )
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), default=LOCAL, server_default=LOCAL)
    """Who submitted it; others are told that there is no such job."""
    spec: Mapped[dict[str, Any]]
    """The resolved PruningSpec."""
    model: Mapped[str | None] = mapped_column(String(LISTED_LENGTH), default=default_from_spec("model"))
    """The same as in ``spec``, and so the next two: JSON would have to be read of every job of a list."""
    task: Mapped[str | None] = mapped_column(String(LISTED_LENGTH), default=default_from_spec("task"))
    """By name; None for a custom task."""
    method: Mapped[str | None] = mapped_column(String(LISTED_LENGTH), default=default_from_spec("method"))
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    """The user's own key-value pairs; ``metadata`` outside, a name that SQLAlchemy keeps to itself."""
    priority: Mapped[int] = mapped_column(default=0)
    """Higher is sooner."""
    max_duration: Mapped[float | None]
    """Seconds that one run may take."""
    exports: Mapped[list[str] | None] = mapped_column(JSON_OBJECT)
    """Formats that the mask is to be turned into, by their names; None for none."""
    export_of: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """The job whose mask this one exports; None for a job that prunes."""
    retried_from: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    """The job that failed or was cancelled and that this one does again."""
    sweep_id: Mapped[str | None] = mapped_column(ForeignKey("sweeps.id", ondelete="SET NULL"))
    """The sweep that it is one combination of."""

    attempt: Mapped[int] = mapped_column(default=0)
    """Runs begun; also the fence: a write that carries an older number is refused."""
    attempts_spent: Mapped[int] = mapped_column(default=0)
    """Runs that were lost or failed for an outside reason; a polite hand-back is not counted."""
    worker_id: Mapped[str | None] = mapped_column(String(100))
    """Last worker that claimed it; not a foreign key, for workers come and go."""
    lease_expires_at: Mapped[datetime | None]
    not_before: Mapped[datetime] = mapped_column(default=now_sql())
    """A queued job is not claimed earlier (back-off)."""
    lease_expiries: Mapped[int] = mapped_column(default=0, server_default="0")
    """Runs that were lost with their worker."""
    claimed_at: Mapped[datetime | None]
    """Start of the last run."""
    run_seconds: Mapped[float] = mapped_column(default=0, server_default="0")
    """Time that all ended runs took together."""
    device: Mapped[str | None] = mapped_column(String(40))
    """What the last run trained on, e.g. ``cuda:0``."""
    cancel_requested_at: Mapped[datetime | None]
    """The wish of the user of a running job; honoured on every way out of ``running``."""
    pause_requested_at: Mapped[datetime | None]

    phase: Mapped[str | None] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    """Optimizer steps completed."""
    total_steps: Mapped[int | None]
    eta_seconds: Mapped[float | None]
    progress_at: Mapped[datetime | None]
    """When phase or progress last changed."""
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The latest of each."""
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """A ``Failure``; on a queued job, why the last run did not finish."""
    mask_artifact_id: Mapped[int | None] = mapped_column(ForeignKey("artifacts.id", use_alter=True))
    event_seq: Mapped[int] = mapped_column(default=0)
    """Sequence number of the job's last event."""

    webhook: Mapped["Webhook | None"] = relationship(viewonly=True)
    """The receiver that was submitted with it."""

    created_at: Mapped[datetime] = mapped_column(default=now_sql())
    started_at: Mapped[datetime | None]
    """Start of the first run."""
    finished_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        CheckConstraint(f"status IN ({_listed(Status)})", "status_known"),
        CheckConstraint(f"(finished_at IS NOT NULL) = (status IN ({_listed(TERMINAL)}))", "finished_when_terminal"),
        CheckConstraint(
            "(mask_artifact_id IS NOT NULL) = (status = 'succeeded' AND export_of IS NULL)", "mask_when_succeeded"
        ),
        CheckConstraint("export_of IS NULL OR exports IS NOT NULL", "exports_named"),
        CheckConstraint("(lease_expires_at IS NOT NULL) = (status = 'running')", "lease_when_running"),
        CheckConstraint("status <> 'failed' OR error IS NOT NULL", "error_when_failed"),
        CheckConstraint("status NOT IN ('queued', 'paused') OR cancel_requested_at IS NULL", "cancel_wish_honoured"),
        CheckConstraint("status = 'running' OR pause_requested_at IS NULL", "pause_wish_honoured"),
        CheckConstraint("attempts_spent >= 0 AND attempts_spent <= attempt", "attempts_counted"),
        CheckConstraint("step >= 0 AND event_seq >= 0", "counters_positive"),
        Index(None, "status", "priority", "created_at", "id"),  # the claim
        *list_indexes(),
        Index(None, "owner", "status", "id"),  # how many jobs of an owner wait, and what belongs to all of theirs
        Index(None, "finished_at"),  # retention
        Index(None, "sweep_id"),  # a sweep looks for its jobs
        Index(None, "retried_from"),  # a deleted job looks for its successors
        Index(  # and for its exports, as does who lists them
            None,
            "export_of",
            postgresql_where=text("export_of IS NOT NULL"),
            sqlite_where=text("export_of IS NOT NULL"),
        ),
        Index(None, "mask_artifact_id"),  # a deleted artifact looks whether it is a mask
    )
