"""Health probe of a worker: ``python -m worker.health`` exits with 0 if a worker of this host has a recent heartbeat.

For orchestrators, through ``espalier health``. A worker that waits for an unreachable database is unhealthy, but restarting it
would not help: probe with patience.
"""

import socket
import sys

from service.db.engine import Database
from service.jobs import heartbeats
from service.settings import Settings


def is_healthy(settings: Settings) -> bool:
    """Raises the database's error when that is away."""
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            live = heartbeats.live_workers(session, within_seconds=settings.worker_seen_seconds)
    finally:
        database.dispose()
    return any(worker.hostname == socket.gethostname() for worker in live)


if __name__ == "__main__":
    sys.exit(0 if is_healthy(Settings()) else 1)
