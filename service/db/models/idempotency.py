"""Table of stored responses, returned to repeated requests."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.access import OWNER_LENGTH
from service.db.models.base import Base

KEY_LENGTH = 255


class StoredResponse(Base):
    """The response to the first request with an idempotency key. See ``service.access.idempotency``."""

    __tablename__ = "answers"

    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), primary_key=True)
    route: Mapped[str] = mapped_column(String(100), primary_key=True)
    """Method and path template, e.g. ``POST /v1/jobs``."""
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the request, hexadecimal."""
    status: Mapped[int]
    """HTTP status."""
    body: Mapped[str] = mapped_column(Text)
    """Body of the response, JSON."""
    location: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (Index(None, "created_at"),)  # deletion of expired responses
