"""Webhook outbox: delivery state of messages, from claim to delivered or given up; and test messages, which have no job.

Called by ``worker.webhooks.dispatcher``; the API lists deliveries and counts the backlog. Only ``delete_old`` commits. A claim is
a lease: it sets the next attempt to when this one must be over, so a message whose sender was killed is sent again. The result of
an attempt is recorded only while no later attempt has begun.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import islice

from sqlalchemy import ColumnElement, and_, case, delete, func, select, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Delivery, Webhook
from service.tracing import spans

SCHEDULE_SECONDS = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Standard Webhooks': the pause before the first, second, … attempt; the last one before any further."""
TEST = "webhook.test"
"""Type of a test message, sent on request regardless of the subscribed events."""
_PER_OWNER = 50
_CONSIDERED = 1000
"""Messages that one claim considers, of one owner and of all."""
_DELETED = 500
"""Messages deleted per transaction."""
RETENTION_SECONDS = 30 * 24 * 3600.0
"""How long a message that was delivered or given up stays listed."""


@dataclass(frozen=True)
class DeliveryResult:
    """Result of one attempt."""

    status: int | None = None
    """HTTP status of the response; None: there was none."""
    error: str | None = None
    """Reason of a failure; None: it succeeded."""
    retry: bool = True
    """Whether another attempt makes sense."""
    gone: bool = False
    """Whether the receiver is gone permanently (410)."""
    retry_after: float = 0.0
    """Seconds that the receiver asked to wait."""


def any_due(session: Session) -> bool:
    """Whether ``claim`` would find a message; takes no lock."""
    return session.scalars(select(Delivery.id).join(Webhook).where(*_due()).limit(1)).first() is not None


@dataclass(frozen=True)
class Claim:
    """A message that the caller is to send now."""

    delivery: Delivery
    owner: str
    url: str


def claim(
    session: Session,
    *,
    limit: int,
    lease_seconds: float,
    busy: Collection[str] = (),
    accept: Callable[[str, str], bool] = lambda owner, url: True,
) -> list[Claim]:
    """Claim due messages, the longest due first and at most one per webhook, and none of the webhooks that are ``busy``.

    ``accept`` is called with owner and URL of each in this order and may leave it for later, so that no owner and no
    receiver takes all. Only the longest due of each owner are considered.
    """
    first = (
        select(func.min(Delivery.id))
        .select_from(Delivery)
        .join(Webhook)
        .where(*_due(), Webhook.id.not_in(busy))
        .group_by(Delivery.webhook_id)
    )
    place = func.row_number().over(partition_by=Webhook.owner, order_by=(Delivery.due_at, Delivery.id))
    ranked = (
        select(Delivery.id, Delivery.due_at, Webhook.owner, Webhook.url, place.label("place"))
        .join(Webhook)
        .where(Delivery.id.in_(first))
        .subquery()
    )
    considered = select(ranked).where(ranked.c.place <= _PER_OWNER).order_by(ranked.c.place, ranked.c.due_at)
    found = {row.id: (row.owner, row.url) for row in session.execute(considered.limit(_CONSIDERED))}
    chosen = list(islice((name for name, (owner, url) in found.items() if accept(owner, url)), limit))
    # what another worker has claimed since is not locked, or that worker would wait to record its result
    still_due = (Delivery.id.in_(chosen), Delivery.due_at <= now_sql())
    due = select(Delivery.id).where(*still_due).with_for_update(skip_locked=True)
    taken = (
        update(Delivery)
        .where(Delivery.id.in_(due))
        .values(due_at=now_sql(lease_seconds), attempts=Delivery.attempts + 1, last_attempt_at=now_sql())
        .returning(Delivery)
    )
    options = {"synchronize_session": False, "populate_existing": True}
    return [Claim(delivery, *found[delivery.id]) for delivery in session.scalars(taken, execution_options=options)]


def record_result(session: Session, delivery: Delivery, result: DeliveryResult, *, max_attempts: int, jitter: float = 1.0) -> bool:
    """Record the result of the attempt that ``claim`` began; False when a later one has begun since.

    A failed one is due again by SCHEDULE_SECONDS times ``jitter``, unless it was the last.
    """
    if result.error is None:
        values = {"delivered_at": now_sql(), "due_at": None}
    elif not result.retry or delivery.attempts >= max_attempts:
        values = {"due_at": None}
    else:
        pause = SCHEDULE_SECONDS[min(delivery.attempts, len(SCHEDULE_SECONDS) - 1)]
        values = {"due_at": now_sql(max(pause * jitter, result.retry_after))}
    same_attempt = (Delivery.id == delivery.id, Delivery.attempts == delivery.attempts, Delivery.due_at.is_not(None))
    written = (
        update(Delivery)
        .where(*same_attempt)
        .values(last_status=result.status, last_error=result.error, **values)
        .returning(Delivery.id)
    )
    return session.scalars(written, execution_options={"synchronize_session": False}).one_or_none() is not None


def add_test(session: Session, webhook: Webhook) -> Delivery:
    """A test message to ``webhook``, due now; a pending one is returned, so that repeated requests send no more.

    The caller has locked ``webhook`` or runs alone.
    """
    waiting = select(Delivery).where(Delivery.webhook_id == webhook.id, Delivery.type == TEST, Delivery.due_at.is_not(None))
    if (known := session.scalars(waiting.limit(1)).first()) is not None:
        return known
    moment = session.scalars(select(now_sql())).one()
    timestamp = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = {"type": TEST, "timestamp": timestamp, "data": {"id": webhook.id}}
    delivery = Delivery(
        webhook_id=webhook.id,
        job_id="",
        type=TEST,
        body=json.dumps(body, separators=(",", ":")),
        trace_context=spans.current_context(),
    )
    session.add(delivery)
    session.flush()
    return delivery


def list_deliveries(session: Session, webhook_id: str, *, limit: int) -> Sequence[Delivery]:
    """The latest messages of a webhook, newest first."""
    statement = select(Delivery).where(Delivery.webhook_id == webhook_id)
    return session.scalars(statement.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(limit)).all()


def _due() -> tuple[ColumnElement[bool], ...]:
    return Delivery.due_at <= now_sql(), Webhook.disabled_at.is_(None)


def backlog(session: Session) -> tuple[int, int]:
    """How many messages are pending, and how many were given up and are not deleted yet."""
    pending = func.count(case((Delivery.due_at.is_not(None), 1)))
    failed = func.count(case((and_(Delivery.due_at.is_(None), Delivery.delivered_at.is_(None)), 1)))
    row = session.execute(select(pending, failed)).one()
    return row[0], row[1]


def delete_old(database: Database) -> None:
    """Delete messages that were delivered or given up long ago, some per transaction.

    Messages locked by the deletion of their webhook are skipped: waiting for each other's rows would deadlock.
    """
    old = (
        select(Delivery.id)
        .where(Delivery.due_at.is_(None), Delivery.created_at < now_sql(-RETENTION_SECONDS))
        .limit(_DELETED)
        .with_for_update(skip_locked=True)
    )
    deleted = _DELETED
    while deleted == _DELETED:
        with database.write() as session:
            ids = session.scalars(old).all()
            session.execute(delete(Delivery).where(Delivery.id.in_(ids)))
        deleted = len(ids)
