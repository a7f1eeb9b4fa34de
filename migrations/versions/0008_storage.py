"""Objects of artifacts outside the database; index of finished jobs by age.

Revision 0008.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import Index, create_index

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "objects",
        sa.Column("artifact_id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("storage", sa.String(2048), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("artifact_id", name=op.f("pk_objects")),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name=op.f("fk_objects_artifact_id_artifacts"), ondelete="CASCADE"
        ),
    )
    op.create_index(op.f("ix_objects_name"), "objects", ["name"], unique=True)
    create_index("jobs", Index("ix_jobs_finished_at", ["finished_at"]))


def downgrade() -> None:
    kept = op.get_bind().scalar(sa.text("SELECT count(*) FROM objects"))
    if kept:
        raise RuntimeError(f"{kept} artifacts lie in an object storage, where the older version cannot read them; delete them")
    op.drop_index(op.f("ix_jobs_finished_at"), "jobs")
    op.drop_table("objects")
