"""Worker heartbeats: which workers are alive.

Written by the maintenance thread of each worker; read by ``/readyz``, the list of workers and ``service.jobs.reaper``. Never
commits.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Worker
from service.protocol import PROTOCOL

_DELETED_AFTER_SECONDS = 24 * 3600.0


class MostAble(NamedTuple):
    """The most devices and the newest protocol among workers, not of the same one perhaps."""

    devices: int
    protocol: int


def record(session: Session, *, worker_id: str, hostname: str, pid: int, slots: int, devices: int = 1) -> None:
    """Record that the worker is alive. Its first heartbeat also deletes workers that were silent for a day."""
    values = {"seen_at": now_sql(), "slots": slots, "devices": devices, "protocol": PROTOCOL}
    seen = update(Worker).where(Worker.id == worker_id).values(values).returning(Worker.id)
    if session.execute(seen, execution_options={"synchronize_session": False}).scalar_one_or_none() is None:
        session.execute(delete(Worker).where(Worker.seen_at < now_sql(-_DELETED_AFTER_SECONDS)))
        session.add(Worker(id=worker_id, hostname=hostname, pid=pid, slots=slots, devices=devices, protocol=PROTOCOL))
        session.flush()


def live_workers(session: Session, *, within_seconds: float) -> Sequence[Worker]:
    """Workers with a heartbeat in the last ``within_seconds``, oldest first."""
    statement = select(Worker).where(Worker.seen_at >= now_sql(-within_seconds)).order_by(Worker.started_at, Worker.id)
    return session.scalars(statement).all()


def most_able(session: Session, *, within_seconds: float) -> MostAble | None:
    """The most that any of these workers has of each; None without workers."""
    most = select(func.max(Worker.devices), func.max(Worker.protocol)).where(Worker.seen_at >= now_sql(-within_seconds))
    devices, protocol = session.execute(most).one()
    return None if devices is None else MostAble(devices, protocol)


def remove(session: Session, worker_id: str) -> None:
    """Remove a worker that shuts down."""
    session.execute(delete(Worker).where(Worker.id == worker_id))
