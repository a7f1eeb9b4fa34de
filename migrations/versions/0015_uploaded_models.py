"""Uploaded models.

Revision 0015. New tables only: the version before does not read them.
"""

import sqlalchemy as sa
from alembic import op

from service.db.clock import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "uploaded_models",
        sa.Column("number", SERIAL, nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("model_type", sa.String(64), nullable=False),
        sa.Column("masked_weights", sa.BigInteger),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_uploaded_models")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_uploaded_models_owner_number"), "uploaded_models", ["owner", "number"])
    op.create_index(
        "uq_uploaded_models_complete_id",
        "uploaded_models",
        ["id"],
        unique=True,
        postgresql_where=sa.text("complete"),
        sqlite_where=sa.text("complete"),
    )
    op.create_table(
        "model_files",
        sa.Column("model", SERIAL, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("chunk_bytes", sa.Integer, nullable=False),
        sa.Column("storage", sa.String(2048)),
        sa.Column("object_name", sa.String(300)),
        sa.PrimaryKeyConstraint("model", "name", name=op.f("pk_model_files")),
        sa.ForeignKeyConstraint(
            ["model"], ["uploaded_models.number"], name=op.f("fk_model_files_model_uploaded_models"), ondelete="CASCADE"
        ),
        sa.CheckConstraint("size >= 0 AND chunk_bytes > 0", name=op.f("ck_model_files_sizes_positive")),
    )
    op.create_index(op.f("ix_model_files_object_name"), "model_files", ["object_name"], unique=True)
    op.create_table(
        "model_chunks",
        sa.Column("model", SERIAL, autoincrement=False, nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("model", "file", "number", name=op.f("pk_model_chunks")),
        sa.ForeignKeyConstraint(
            ["model", "file"],
            ["model_files.model", "model_files.name"],
            name=op.f("fk_model_chunks_model_model_files"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("number >= 0", name=op.f("ck_model_chunks_number_counts_from_zero")),
    )


def downgrade() -> None:
    kept = op.get_bind().scalar(sa.text("SELECT count(*) FROM model_files WHERE storage IS NOT NULL"))
    if kept:
        raise RuntimeError(
            f"{kept} files of uploaded models lie in an object storage, where nothing would delete them; delete the models"
        )
    op.drop_table("model_chunks")
    op.drop_table("model_files")
    op.drop_table("uploaded_models")
