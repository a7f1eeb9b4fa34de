"""Health probe of a worker: ``python -m worker.health`` exits with 0 if a worker of this host has a recent heartbeat.

For orchestrators, through ``espalier health``. A worker that waits for an unreachable database is unhealthy, but restarting it
would not help: use a generous failure threshold.
"""

import socket
import sys

from pruning.processes.confinement import close_process_memory
from service.db.engine import Database
from service.environment import settings_or_exit
from service.jobs import heartbeats
from service.settings import Settings
from service.urls import missing_database_file


def is_healthy(settings: Settings) -> bool:
    """Whether a worker of this host has a recent heartbeat. Raises the database's error when it is unreachable."""
    if missing_database_file(settings.database_url) is not None:  # connecting would create it
        return False
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            live = heartbeats.live_workers(session, within_seconds=settings.worker_seen_seconds)
    finally:
        database.dispose()
    return any(worker.hostname == socket.gethostname() for worker in live)


if __name__ == "__main__":
    close_process_memory()  # trainers run on the same host
    sys.exit(0 if is_healthy(settings_or_exit()) else 1)
