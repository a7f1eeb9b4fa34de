"""Which workers live. Told by each worker's heartbeat, read by ``/readyz`` and the list of workers; never commits."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Worker

_FORGOTTEN_SECONDS = 24 * 3600.0


def record(session: Session, *, worker_id: str, hostname: str, pid: int, slots: int, devices: int = 1) -> None:
    """Say that the worker lives. The first beat also forgets workers unseen for a day."""
    values = {"seen_at": now_sql(), "slots": slots, "devices": devices}
    seen = update(Worker).where(Worker.id == worker_id).values(values).returning(Worker.id)
    if session.execute(seen, execution_options={"synchronize_session": False}).scalar_one_or_none() is None:
        session.execute(delete(Worker).where(Worker.seen_at < now_sql(-_FORGOTTEN_SECONDS)))
        session.add(Worker(id=worker_id, hostname=hostname, pid=pid, slots=slots, devices=devices))
        session.flush()


def live_workers(session: Session, *, within_seconds: float) -> Sequence[Worker]:
    """The workers heard of in the last ``within_seconds``, oldest first."""
    statement = select(Worker).where(Worker.seen_at >= now_sql(-within_seconds)).order_by(Worker.started_at, Worker.id)
    return session.scalars(statement).all()


def remove(session: Session, worker_id: str) -> None:
    """Forget a worker that shuts down."""
    session.execute(delete(Worker).where(Worker.id == worker_id))
