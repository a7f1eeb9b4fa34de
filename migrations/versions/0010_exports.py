"""Exports that a job makes at its end.

Revision 0010.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import extend_table

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    extend_table("jobs", columns=[sa.Column("exports", sa.JSON(none_as_null=True))])


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("exports")
