"""Which queued jobs are due, in which order, and how many devices each asks for. Read by claims and by the rescuer."""

from itertools import accumulate

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Job
from service.states import Status

claim_order = (Job.priority.desc(), Job.created_at, Job.id)
requested_devices = func.coalesce(Job.spec["devices"].as_integer(), 1)
"""How many devices a job asks for."""


def due_for_devices(devices: int) -> tuple[ColumnElement[bool], ...]:
    """True of the jobs that a worker with so many devices could run now, were all of them free."""
    return Job.status == Status.QUEUED, Job.not_before <= now_sql(), requested_devices <= devices


def count_startable(session: Session, *, devices: int, free_devices: int, slots: int) -> int:
    """How many jobs ``claim`` would give this worker one after the other, but for what other workers take meanwhile."""
    wanted = session.scalars(
        select(requested_devices).where(*due_for_devices(devices)).order_by(*claim_order).limit(slots)
    )
    return sum(1 for together in accumulate(wanted) if together <= free_devices)
