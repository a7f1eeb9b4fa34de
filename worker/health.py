"""``python -m worker.health``: whether the worker of this host told the database lately that it lives. For orchestrators.

A worker that waits for a database which is away is not healthy, but restarting it would help nobody: probe with patience.
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
