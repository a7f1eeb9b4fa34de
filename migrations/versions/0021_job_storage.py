"""Room for new versions of a job's row in its page, indexes without empty values, and vacuum of jobs in smaller portions.

Revision 0021. Nothing is rewritten: rows that are claimed from now on lie in pages with room. Setting these parameters stops
neither reads nor writes.
"""

from collections.abc import Iterator

from alembic import op

from migrations.online import Index, create_index, drop_index, on_postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_COLUMNS = ("finished_at", "sweep_id", "retried_from", "mask_artifact_id")
_PARAMETERS = {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.02", "autovacuum_analyze_scale_factor": "0.02"}


def upgrade() -> None:
    if on_postgresql():
        op.execute(f"ALTER TABLE jobs SET ({', '.join(f'{name} = {value}' for name, value in _PARAMETERS.items())})")
    for index in _indexes():
        create_index("jobs", index)
    for column in _COLUMNS:
        drop_index("jobs", f"ix_jobs_{column}")


def downgrade() -> None:
    for index in _indexes():
        op.drop_index(op.f(index.name), "jobs")
        op.create_index(op.f(f"ix_jobs_{index.columns[0]}"), "jobs", list(index.columns))
    if on_postgresql():
        op.execute(f"ALTER TABLE jobs RESET ({', '.join(_PARAMETERS)})")


def _indexes() -> Iterator[Index]:
    for column in _COLUMNS:
        yield Index(f"ix_jobs_{column}_known", [column], f"{column} IS NOT NULL")
