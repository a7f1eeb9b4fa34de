"""Rows written straight into the service's database, for measurements that need many jobs or a large file at once."""

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import insert, select, text

from service.access import api_keys
from service.artifacts import store
from service.db.engine import Database
from service.db.models import Job
from service.ids import new_job_id
from service.jobs.fence import Fence
from service.states import Status

_BATCH = 5000


def add_jobs(database_url: str, count: int) -> None:
    """``count`` paused jobs, each with the spec of the newest job there is."""
    database = Database(database_url)
    with database.read() as session:
        spec = session.scalars(select(Job.spec).order_by(Job.created_at.desc()).limit(1)).one()
    for start in range(0, count, _BATCH):
        rows = [{"id": new_job_id(), "status": Status.PAUSED, "spec": spec} for _ in range(min(_BATCH, count - start))]
        with database.write() as session:
            session.execute(insert(Job), rows)
    if database.engine.dialect.name == "postgresql":
        with database.write() as session:
            session.execute(text("ANALYZE jobs"))  # as the server itself does within a minute
    database.dispose()


def add_key(database_url: str) -> str:
    """An API key that reads and writes."""
    database = Database(database_url)
    with database.write() as session:
        _, key = api_keys.create(session, name="benchmark")
    database.dispose()
    return key


def add_artifact(database_url: str, job_id: str, size: int) -> str:
    """A file of ``size`` random bytes under a running job; its name."""
    data = os.urandom(size)
    database = Database(database_url)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "random.bin"
        path.write_bytes(data)
        with database.read() as session:
            attempt = session.get_one(Job, job_id).attempt
        store.put(
            database,
            Fence(job_id, attempt),
            name=path.name,
            media_type="application/octet-stream",
            path=path,
            size=size,
            sha256=hashlib.sha256(data).hexdigest(),
            chunk_bytes=256 * 1024,
        )
    database.dispose()
    return path.name
