"""Jobs that evaluate the mask of another job, and the indexes of their lists.

Revision 0016. A nullable column without a default: no row is rewritten. A worker of the version before takes an evaluation for an
export without formats, and the evaluation fails.
"""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa
from alembic import op

from migrations.online import Index, create_index, drop_index, extend_table

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_LISTS = {
    "export": "export_of IS NOT NULL AND evaluation IS NULL",
    "evaluation": "export_of IS NOT NULL AND evaluation IS NOT NULL",
}
_FORMER = {"exporting": "export_of IS NOT NULL"}


def upgrade() -> None:
    extend_table("jobs", columns=[sa.Column("evaluation", sa.JSON(none_as_null=True))])
    for index in _indexes(_LISTS):
        create_index("jobs", index)
    for index in _indexes(_FORMER):
        drop_index("jobs", index.name)


def downgrade() -> None:
    kept = op.get_bind().scalar(sa.text("SELECT count(*) FROM jobs WHERE evaluation IS NOT NULL"))
    if kept:
        raise RuntimeError(f"{kept} jobs evaluate a mask, which the older version would take for exports; delete them")
    for index in _indexes(_FORMER):
        where = sa.text(index.where or "")
        op.create_index(op.f(index.name), "jobs", list(index.columns), postgresql_where=where, sqlite_where=where)
    for index in _indexes(_LISTS):
        op.drop_index(op.f(index.name), "jobs")
    op.drop_column("jobs", "evaluation")


def _indexes(lists: Mapping[str, str]) -> Iterator[Index]:
    for kind, where in lists.items():
        for column in ("", "status"):
            for owner in ("", "owner"):
                held = [name for name in (owner, column, "created_at", "id") if name]
                yield Index(f"ix_jobs_{kind}_{'_'.join(held)}", held, where)
