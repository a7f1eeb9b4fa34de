"""Which job a job does again; how long its runs took, on what, and how often their worker was lost.

Revision 0002.
"""

import sqlalchemy as sa
from alembic import op

from service.db.clock import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("retried_from", sa.String(40)))
        jobs.add_column(sa.Column("lease_expiries", sa.Integer, nullable=False, server_default="0"))
        jobs.add_column(sa.Column("claimed_at", UtcDateTime))
        jobs.add_column(sa.Column("run_seconds", sa.Double, nullable=False, server_default="0"))
        jobs.add_column(sa.Column("device", sa.String(40)))
        jobs.create_foreign_key(
            op.f("fk_jobs_retried_from_jobs"), "jobs", ["retried_from"], ["id"], ondelete="SET NULL"
        )  # fmt: skip
        jobs.create_index(op.f("ix_jobs_retried_from"), ["retried_from"])


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_index(op.f("ix_jobs_retried_from"))
        jobs.drop_constraint(op.f("fk_jobs_retried_from_jobs"), type_="foreignkey")
        for column in ("device", "run_seconds", "claimed_at", "lease_expiries", "retried_from"):
            jobs.drop_column(column)
