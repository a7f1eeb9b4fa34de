"""Jobs that export the mask of another job.

Revision 0011.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import ForeignKey, Index, extend_table

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MASK_CHECK, _NAMED_CHECK = "ck_jobs_mask_when_succeeded", "ck_jobs_exports_named"


def upgrade() -> None:
    extend_table(
        "jobs",
        columns=[sa.Column("export_of", sa.String(40))],
        foreign_keys=[ForeignKey("fk_jobs_export_of_jobs", "export_of", "jobs", "CASCADE")],
        checks={
            _MASK_CHECK: "(mask_artifact_id IS NOT NULL) = (status = 'succeeded' AND export_of IS NULL)",
            _NAMED_CHECK: "export_of IS NULL OR exports IS NOT NULL",
        },
        # of exports alone: for the others, nearly all, planners would take this index and then sort the whole table
        indexes=[Index("ix_jobs_export_of", ["export_of"], "export_of IS NOT NULL")],
    )


def downgrade() -> None:
    kept = op.get_bind().scalar(sa.text("SELECT count(*) FROM jobs WHERE export_of IS NOT NULL"))
    if kept:
        raise RuntimeError(f"{kept} jobs export a mask, which the older version would take for pruning; delete them")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f(_NAMED_CHECK), type_="check")
        jobs.drop_constraint(op.f(_MASK_CHECK), type_="check")
        jobs.create_check_constraint(op.f(_MASK_CHECK), "(mask_artifact_id IS NOT NULL) = (status = 'succeeded')")
        jobs.drop_index(op.f("ix_jobs_export_of"))
        jobs.drop_constraint(op.f("fk_jobs_export_of_jobs"), type_="foreignkey")
        jobs.drop_column("export_of")
