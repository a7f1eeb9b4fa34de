"""The history of the tables; applied by ``jobs.db.upgrade`` or ``alembic -c migrations/alembic.ini upgrade head``."""
