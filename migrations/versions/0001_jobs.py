"""Jobs, their events, metrics and artifacts, and the workers.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

from service.db.clock import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _create_jobs()
    _create_events_and_metrics()
    _create_artifacts()
    _create_workers()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("max_duration", sa.Double),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("attempts_spent", sa.Integer, nullable=False),
        sa.Column("worker_id", sa.String(100)),
        sa.Column("lease_expires_at", UtcDateTime),
        sa.Column("not_before", UtcDateTime, nullable=False),
        sa.Column("cancel_requested_at", UtcDateTime),
        sa.Column("pause_requested_at", UtcDateTime),
        sa.Column("phase", sa.String(40)),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("total_steps", sa.Integer),
        sa.Column("eta_seconds", sa.Double),
        sa.Column("progress_at", UtcDateTime),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("mask_artifact_id", SERIAL),
        sa.Column("event_seq", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.CheckConstraint(
            "status IN ('cancelled', 'failed', 'paused', 'queued', 'running', 'succeeded')", name=op.f("ck_jobs_status_known")
        ),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (status IN ('cancelled', 'failed', 'succeeded'))",
            name=op.f("ck_jobs_finished_when_terminal"),
        ),
        sa.CheckConstraint("(mask_artifact_id IS NOT NULL) = (status = 'succeeded')", name=op.f("ck_jobs_mask_when_succeeded")),
        sa.CheckConstraint("(lease_expires_at IS NOT NULL) = (status = 'running')", name=op.f("ck_jobs_lease_when_running")),
        sa.CheckConstraint("status <> 'failed' OR error IS NOT NULL", name=op.f("ck_jobs_error_when_failed")),
        sa.CheckConstraint(
            "status NOT IN ('queued', 'paused') OR cancel_requested_at IS NULL", name=op.f("ck_jobs_cancel_wish_honoured")
        ),
        sa.CheckConstraint("status = 'running' OR pause_requested_at IS NULL", name=op.f("ck_jobs_pause_wish_honoured")),
        sa.CheckConstraint("attempts_spent >= 0 AND attempts_spent <= attempt", name=op.f("ck_jobs_attempts_counted")),
        sa.CheckConstraint("step >= 0 AND event_seq >= 0", name=op.f("ck_jobs_counters_positive")),
        # jobs and artifacts refer to each other. SQLite takes a reference to a table that comes later, but no
        # constraint later; PostgreSQL the other way round
        *([sa.ForeignKeyConstraint(["mask_artifact_id"], ["artifacts.id"], name=_mask_key())] if _on_sqlite() else []),
    )
    op.create_index(op.f("ix_jobs_status_priority_created_at_id"), "jobs", ["status", "priority", "created_at", "id"])
    op.create_index(op.f("ix_jobs_created_at_id"), "jobs", ["created_at", "id"])
    op.create_index(op.f("ix_jobs_mask_artifact_id"), "jobs", ["mask_artifact_id"])


def _create_events_and_metrics() -> None:
    op.create_table(
        "events",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_events")),
        _belongs_to_job("events"),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_events_seq_counts_from_one")),
    )

    op.create_table(
        "metrics",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("values", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metrics")),
        _belongs_to_job("metrics"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_metrics_job_id_id"), "metrics", ["job_id", "id"])


def _create_artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("chunk_bytes", sa.Integer, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        _belongs_to_job("artifacts"),
        sa.CheckConstraint("size >= 0 AND chunk_bytes > 0", name=op.f("ck_artifacts_sizes_positive")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_artifacts_job_id"), "artifacts", ["job_id"])
    op.create_index(
        "uq_artifacts_complete_name",
        "artifacts",
        ["job_id", "name"],
        unique=True,
        postgresql_where=sa.text("complete"),
        sqlite_where=sa.text("complete"),
    )
    if not _on_sqlite():
        op.create_foreign_key(_mask_key(), "jobs", "artifacts", ["mask_artifact_id"], ["id"])

    op.create_table(
        "chunks",
        sa.Column("artifact_id", SERIAL, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("artifact_id", "number", name=op.f("pk_chunks")),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name=op.f("fk_chunks_artifact_id_artifacts"), ondelete="CASCADE"
        ),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("hostname", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def downgrade() -> None:
    if not _on_sqlite():
        op.drop_constraint(_mask_key(), "jobs", type_="foreignkey")
    for table in ("workers", "chunks", "artifacts", "metrics", "events", "jobs"):
        op.drop_table(table)


def _belongs_to_job(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f(f"fk_{table}_job_id_jobs"), ondelete="CASCADE")


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _mask_key() -> str:
    """Name of the foreign key from a job to its mask."""
    return op.f("fk_jobs_mask_artifact_id_artifacts")
