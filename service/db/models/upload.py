"""Shared columns and indexes of the tables of uploaded data sets and uploaded models."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

from service.db.clock import now_sql
from service.db.models.access import LOCAL, OWNER_LENGTH
from service.db.models.base import NO_ID_REUSE, SERIAL


class UploadColumns:
    """An upload. Readers see it once ``complete``; at most one of each ``id`` is. See ``service.uploads``."""

    number: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    id: Mapped[str] = mapped_column(String(40))
    """Derived from owner and content, so the same upload gets the same id."""
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), default=LOCAL)
    name: Mapped[str | None] = mapped_column(String(100))
    """Name given by its owner."""
    sha256: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the content; lower-case hexadecimal."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes of all files together."""
    complete: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now_sql())


def upload_indexes(table: str) -> tuple[SchemaItem | dict[str, bool], ...]:
    """Table arguments: one complete upload of each id, and the index of the list."""
    complete = text("complete")
    return (
        Index(f"uq_{table}_complete_id", "id", unique=True, postgresql_where=complete, sqlite_where=complete),
        Index(None, "owner", "number"),
        NO_ID_REUSE,
    )
