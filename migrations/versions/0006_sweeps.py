"""Sweeps: grids of jobs submitted as one.

Revision 0006.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import ForeignKey, Index, extend_table
from service.db.clock import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("grid", sa.JSON, nullable=False),
        sa.Column("base", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("baseline", sa.Double),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
    )
    op.create_index(op.f("ix_sweeps_created_at_id"), "sweeps", ["created_at", "id"])
    op.create_index(op.f("ix_sweeps_owner_created_at_id"), "sweeps", ["owner", "created_at", "id"])
    extend_table(
        "jobs",
        columns=[sa.Column("sweep_id", sa.String(40))],
        # deleting a sweep deletes its jobs one by one, as users do; a job that slipped in meanwhile is kept
        foreign_keys=[ForeignKey("fk_jobs_sweep_id_sweeps", "sweep_id", "sweeps", "SET NULL")],
        indexes=[Index("ix_jobs_sweep_id", ["sweep_id"])],
    )


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_index(op.f("ix_jobs_sweep_id"))
        jobs.drop_constraint(op.f("fk_jobs_sweep_id_sweeps"), type_="foreignkey")
        jobs.drop_column("sweep_id")
    op.drop_table("sweeps")
