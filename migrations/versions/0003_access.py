"""API keys, owners of jobs, and stored secrets of owners.

Revision 0003.
"""

import sqlalchemy as sa
from alembic import op

from migrations.online import Index, extend_table
from service.db.clock import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("last_used_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index("uq_api_keys_digest", "api_keys", ["digest"], unique=True)
    op.create_table(
        "secrets",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_secrets")),
    )
    extend_table(
        "jobs",
        # what was there before had no owner: it belongs to the owner of requests without a key
        columns=[sa.Column("owner", sa.String(64), nullable=False, server_default="local")],
        indexes=[Index("ix_jobs_owner_created_at_id", ["owner", "created_at", "id"])],
    )


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_index(op.f("ix_jobs_owner_created_at_id"))
        jobs.drop_column("owner")
    op.drop_table("secrets")
    op.drop_table("api_keys")
