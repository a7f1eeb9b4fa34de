"""Bytes of a job's record and of its checkpoints, which quotas count.

Revision 0013.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import extend_table, on_postgresql, update_in_batches

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = ("record_bytes", "checkpoint_bytes")
_ROWS = 100
"""Rows per batch: all events of each are read."""


def upgrade() -> None:
    extend_table("jobs", columns=[sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in _COLUMNS])
    size = "octet_length(CAST({} AS text))" if on_postgresql() else "length(CAST({} AS BLOB))"
    events = f"SELECT sum({size.format('data')}) FROM events WHERE events.job_id = jobs.id"  # noqa: S608 - names above
    record = f"{size.format('spec')} + {size.format('metadata')} + coalesce(({events}), 0)"
    # a row that is left out, or inserted by the version before, counts from its next event on: too little, for a while
    update_in_batches("jobs", {"record_bytes": record}, where="record_bytes = 0", rows=_ROWS)


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        for name in _COLUMNS:
            jobs.drop_column(name)
