"""Alembic environment, run for every command. ``service.db.migrate`` passes its own locked connection; the alembic command line
gets one here."""

from alembic import context
from sqlalchemy import Connection

from service.db.migrate import migrating
from service.db.models import Base
from service.environment import settings_or_exit


def run(connection: Connection) -> None:
    """Migrate inside the transaction that the connection's owner began and will commit, or in one for each migration."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # which can alter little of a table but by copying it
        user_module_prefix="",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
elif given := context.config.attributes.get("connection"):
    run(given)
else:
    with migrating(settings_or_exit().database_url) as own:
        run(own)
