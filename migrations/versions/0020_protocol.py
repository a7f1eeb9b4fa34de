"""Protocols of jobs and workers, by which no worker claims a job that only a later version knows.

Revision 0020. Constant defaults: no row is rewritten. Workers of the version before ask for no protocol and announce 1.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import Index, extend_table

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_INDEX = Index("ix_jobs_protocol", ["protocol"], "status = 'queued'")


def upgrade() -> None:
    for table, indexes in (("jobs", [_INDEX]), ("workers", [])):
        extend_table(table, columns=[sa.Column("protocol", sa.Integer, nullable=False, server_default="1")], indexes=indexes)


def downgrade() -> None:
    op.drop_index(op.f(_INDEX.name), "jobs")
    for table in ("jobs", "workers"):
        op.drop_column(table, "protocol")
