"""Retried job, run time, device and lost workers of a job.

Revision 0002.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import ForeignKey, Index, extend_table
from service.db.clock import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    extend_table(
        "jobs",
        columns=[
            sa.Column("retried_from", sa.String(40)),
            sa.Column("lease_expiries", sa.Integer, nullable=False, server_default="0"),
            sa.Column("claimed_at", UtcDateTime),
            sa.Column("run_seconds", sa.Double, nullable=False, server_default="0"),
            sa.Column("device", sa.String(40)),
        ],
        foreign_keys=[ForeignKey("fk_jobs_retried_from_jobs", "retried_from", "jobs", "SET NULL")],
        indexes=[Index("ix_jobs_retried_from", ["retried_from"])],
    )


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_index(op.f("ix_jobs_retried_from"))
        jobs.drop_constraint(op.f("fk_jobs_retried_from_jobs"), type_="foreignkey")
        for column in ("device", "run_seconds", "claimed_at", "lease_expiries", "retried_from"):
            jobs.drop_column(column)
