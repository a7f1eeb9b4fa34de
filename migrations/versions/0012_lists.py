"""Indexes for every list of jobs, and the fields of the spec that lists are filtered by as columns.

Revision 0012.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from migrations.online import Index, create_index, drop_index, extend_table, update_in_batches

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_FIELDS = ("model", "task", "method")
_TEXT = {
    "postgresql": "CASE WHEN json_typeof(spec -> '{0}') = 'string' THEN spec ->> '{0}' END",
    "sqlite": "CASE json_type(spec, '$.{0}') WHEN 'text' THEN json_extract(spec, '$.{0}') END",
}
_KINDS = {
    "pruning": ("export_of IS NULL", ("", "status", "task", "model", "method")),
    "exporting": ("export_of IS NOT NULL", ("", "status")),
}
_FORMER = {"ix_jobs_created_at_id": ["created_at", "id"], "ix_jobs_owner_created_at_id": ["owner", "created_at", "id"]}


def upgrade() -> None:
    extend_table("jobs", columns=[sa.Column(field, sa.String(200)) for field in _FIELDS])
    text = _TEXT[op.get_context().dialect.name]
    # rows that are skipped, or that an API of the version before inserts, are filled in by service.jobs.list_columns
    update_in_batches("jobs", {field: text.format(field) for field in _FIELDS}, where="method IS NULL")
    for name, columns, where in _lists():
        create_index("jobs", Index(name, columns, where))
    create_index("jobs", Index("ix_jobs_owner_status_id", ["owner", "status", "id"]))
    for name in _FORMER:
        drop_index("jobs", name)


def downgrade() -> None:
    op.drop_index(op.f("ix_jobs_owner_status_id"), "jobs")
    for name, _, _ in _lists():
        op.drop_index(name, "jobs")
    for name, columns in _FORMER.items():
        op.create_index(op.f(name), "jobs", columns)
    for field in _FIELDS:
        op.drop_column("jobs", field)


def _lists() -> Iterator[tuple[str, list[str], str]]:
    """Name, columns and condition of each index."""
    for kind, (where, columns) in _KINDS.items():
        for column in columns:
            for owner in ("", "owner"):
                held = [name for name in (owner, column, "created_at", "id") if name]
                yield f"ix_jobs_{kind}_{'_'.join(held)}", held, where
