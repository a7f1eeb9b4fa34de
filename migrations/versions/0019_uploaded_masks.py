"""Uploaded masks.

Revision 0019. New tables only: the version before does not read them.
"""

import sqlalchemy as sa
from alembic import op

from service.db.clock import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploaded_masks",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_uploaded_masks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_uploaded_masks_owner_number"), "uploaded_masks", ["owner", "number"])
    op.create_index(
        "uq_uploaded_masks_complete_id",
        "uploaded_masks",
        ["id"],
        unique=True,
        postgresql_where=sa.text("complete"),
        sqlite_where=sa.text("complete"),
    )
    op.create_table(
        "mask_chunks",
        sa.Column("mask", SERIAL, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mask", "number", name=op.f("pk_mask_chunks")),
        sa.ForeignKeyConstraint(
            ["mask"], ["uploaded_masks.number"], name=op.f("fk_mask_chunks_mask_uploaded_masks"), ondelete="CASCADE"
        ),
        sa.CheckConstraint("number >= 0", name=op.f("ck_mask_chunks_number_counts_from_zero")),
    )


def downgrade() -> None:
    op.drop_table("mask_chunks")
    op.drop_table("uploaded_masks")
