"""The history of the tables; applied by ``service.db.engine.upgrade`` or ``alembic -c migrations/alembic.ini upgrade head``."""
