"""Warnings of jobs.

Revision 0014. A nullable column without a default: no row is rewritten, and the version before ignores it.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import extend_table

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    extend_table("jobs", columns=[sa.Column("warnings", sa.JSON(none_as_null=True))])


def downgrade() -> None:
    op.drop_column("jobs", "warnings")
