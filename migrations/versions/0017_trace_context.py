"""Trace contexts of jobs and of messages to webhooks.

Revision 0017. Nullable columns without a default: no row is rewritten, and the version before ignores them.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import extend_table

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLES = ("jobs", "deliveries")


def upgrade() -> None:
    for table in _TABLES:
        extend_table(table, columns=[sa.Column("trace_context", sa.JSON(none_as_null=True))])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "trace_context")
