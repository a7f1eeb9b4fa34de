"""Devices that a worker can give to one job.

Revision 0009.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import extend_table

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    extend_table("workers", columns=[sa.Column("devices", sa.Integer, nullable=False, server_default="1")])


def downgrade() -> None:
    with op.batch_alter_table("workers") as workers:
        workers.drop_column("devices")
