"""Tables of webhooks and of their messages (the outbox)."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.access import LOCAL, OWNER_LENGTH
from service.db.models.base import JSON_OBJECT, Base
from service.ids import new_delivery_id, new_webhook_id

URL_LENGTH = 2048


class Webhook(Base):
    """One receiver of events: of all jobs of its owner, or of the job it was submitted with.

    See ``service.webhooks.subscriptions``.
    """

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_webhook_id)
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), default=LOCAL)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """The job whose events it receives; None: those of all jobs of its owner."""
    url: Mapped[str] = mapped_column(String(URL_LENGTH))
    events: Mapped[list[Any]] = mapped_column(JSON_OBJECT)
    """Types of events it subscribes to."""
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """The signing secret, sealed by ``service.access.secrets``."""
    former_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The former secret, which also signs until ``former_until``."""
    former_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(40))
    """``requested`` or ``gone``."""
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", "reason_when_disabled"),
        CheckConstraint("(former_secret IS NULL) = (former_until IS NULL)", "former_secret_ends"),
        Index(None, "owner", "created_at", "id"),
        Index(None, "job_id"),
    )


class Delivery(Base):
    """One message to one webhook, written in the transaction of the job's transition: neither exists without the other."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_delivery_id)
    """The ``webhook-id`` of every attempt."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(String(40))
    """Not a foreign key: a message outlives its job. Empty for a test message."""
    type: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    """JSON, the same bytes at every attempt."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Attempts begun; also the fence of their results."""
    due_at: Mapped[datetime | None] = mapped_column(default=now_sql())
    """Time of the next attempt; during an attempt, its deadline. None: delivered or given up."""
    delivered_at: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    """HTTP status of the last response."""
    last_error: Mapped[str | None] = mapped_column(String(200))
    """Reason why the last attempt failed."""
    trace_context: Mapped[dict[str, Any] | None] = mapped_column(JSON_OBJECT)
    """Trace context (W3C) of what caused it; None where that was not traced."""
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        CheckConstraint("delivered_at IS NULL OR due_at IS NULL", "delivered_once"),
        Index(None, "webhook_id", "created_at", "id"),
        Index("ix_deliveries_due", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")),
        Index(None, "created_at"),  # deletion of old messages
    )
