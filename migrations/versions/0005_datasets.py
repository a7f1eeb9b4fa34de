"""Uploaded data sets.

Revision 0005.
"""

import sqlalchemy as sa
from alembic import op

from service.db.clock import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("splits", sa.JSON, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_datasets")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_datasets_owner_number"), "datasets", ["owner", "number"])
    op.create_index(
        "uq_datasets_complete_id",
        "datasets",
        ["id"],
        unique=True,
        postgresql_where=sa.text("complete"),
        sqlite_where=sa.text("complete"),
    )
    op.create_table(
        "dataset_chunks",
        sa.Column("dataset", SERIAL, nullable=False),
        sa.Column("split", sa.String(100), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("dataset", "split", "number", name=op.f("pk_dataset_chunks")),
        sa.ForeignKeyConstraint(
            ["dataset"], ["datasets.number"], name=op.f("fk_dataset_chunks_dataset_datasets"), ondelete="CASCADE"
        ),
        sa.CheckConstraint("number >= 0", name=op.f("ck_dataset_chunks_number_counts_from_zero")),
    )


def downgrade() -> None:
    op.drop_table("dataset_chunks")
    op.drop_table("datasets")
