"""Database migrations (Alembic); applied by ``service.db.migrate.upgrade`` or ``alembic -c migrations/alembic.ini upgrade head``.

Imports ``service.db`` and ``service.settings`` only."""
