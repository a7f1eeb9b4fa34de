"""Webhook messages about job status changes, written to the outbox (the table of deliveries).

``transition`` calls ``enqueue`` in the transaction that changes the job, so a message exists if and only if the change was
committed, and its body is the job as of that change. ``service.webhooks.outbox`` delivers the rows. Nothing here reads a
secret or a setting: messages are signed when they are sent.
"""

import json
from datetime import UTC
from enum import StrEnum

from sqlalchemy import and_, insert, or_, select
from sqlalchemy.orm import Session

from service.db.models import Delivery, Job, Webhook
from service.states import Status
from service.tracing import spans


class EventType(StrEnum):
    """Types of events that a receiver can subscribe to."""

    STARTED = "job.started"
    PAUSED = "job.paused"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


FINAL_EVENTS = (EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELLED)
"""Default events of a webhook."""
_EVENT_OF_STATUS = {
    Status.RUNNING: EventType.STARTED,
    Status.PAUSED: EventType.PAUSED,
    Status.SUCCEEDED: EventType.SUCCEEDED,
    Status.FAILED: EventType.FAILED,
    Status.CANCELLED: EventType.CANCELLED,
}
_COPIED_COLUMNS = ("owner", "url", "events", "secret", "former_secret", "former_until")


def enqueue(session: Session, job: Job) -> None:
    """Add a message about the present status of ``job`` for each enabled webhook that subscribes to it."""
    event = _EVENT_OF_STATUS.get(job.status)
    if event is None:
        return
    of_owner = and_(Webhook.job_id.is_(None), Webhook.owner == job.owner)
    receivers = (
        select(Webhook.id, Webhook.events)
        .where(or_(Webhook.job_id == job.id, of_owner), Webhook.disabled_at.is_(None))
        .with_for_update(read=True, key_share=True)  # a webhook being deleted waits for this transaction, or is left out
    )
    ids = [row.id for row in session.execute(receivers) if event in row.events]
    if ids:
        body = _body(event, job)
        shared = {"job_id": job.id, "type": event, "body": body, "trace_context": spans.current_context() or job.trace_context}
        session.execute(insert(Delivery), [{"webhook_id": webhook_id, **shared} for webhook_id in ids])


def copy_webhooks(session: Session, from_job: str, to_job: str) -> None:
    """Give ``to_job``, which repeats, exports or evaluates ``from_job``, the webhooks that were submitted with that one."""
    own = select(Webhook).where(Webhook.job_id == from_job)
    for webhook in session.scalars(own).all():
        session.add(Webhook(job_id=to_job, **{name: getattr(webhook, name) for name in _COPIED_COLUMNS}))
    session.flush()


def _body(event: EventType, job: Job) -> str:
    """Body of a message; minimal, as Standard Webhooks advises: the receiver reads details from the API."""
    data = {"id": job.id, "status": job.status, "attempt": job.attempt, "metadata": job.user_metadata}
    if job.sweep_id is not None:
        data["sweep_id"] = job.sweep_id
    if job.export_of is not None:
        data["export_of" if job.evaluation is None else "evaluation_of"] = job.export_of
    if job.status is Status.FAILED and job.error is not None:
        data["error"] = {name: job.error.get(name) for name in ("code", "message", "param", "kind", "retryable")}
    moment = job.updated_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"type": event, "timestamp": moment, "data": data}, separators=(",", ":"))
