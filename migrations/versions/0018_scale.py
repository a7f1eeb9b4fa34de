"""Claims in one range of an index, devices of jobs as a column, and turns of maintenance.

Revision 0018. Devices are filled in where jobs wait: rows that an API of the version before inserts have none, which every reader
bears. A worker of the version before maintains the service outside of turns.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import Index, create_index, drop_index, extend_table, update_in_batches

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_DEVICES = {"postgresql": "coalesce((spec ->> 'devices')::integer, 1)", "sqlite": "coalesce(json_extract(spec, '$.devices'), 1)"}
_INDEXES = (
    Index("ix_jobs_claim", [sa.text("priority DESC"), "created_at", "id"], "status = 'queued'"),
    Index("ix_jobs_many_devices", ["devices"], "status = 'queued' AND (devices > 1 OR devices IS NULL)"),
    Index("ix_jobs_status", ["status"]),
)
_FORMER = "ix_jobs_status_priority_created_at_id"


def upgrade() -> None:
    op.create_table(
        "maintenance_turns",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_maintenance_turns")),
        if_not_exists=True,
    )
    extend_table("jobs", columns=[sa.Column("devices", sa.Integer())])
    devices = _DEVICES[op.get_context().dialect.name]
    update_in_batches("jobs", {"devices": devices}, where="status = 'queued' AND devices IS NULL")
    for index in _INDEXES:
        create_index("jobs", index)
    drop_index("jobs", _FORMER)


def downgrade() -> None:
    op.create_index(op.f(_FORMER), "jobs", ["status", "priority", "created_at", "id"])
    for index in _INDEXES:
        op.drop_index(op.f(index.name), "jobs")
    op.drop_column("jobs", "devices")
    op.drop_table("maintenance_turns")
