"""Tables of uploaded data sets and their chunks."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.access import LOCAL, OWNER_LENGTH
from service.db.models.base import NO_ID_REUSE, SERIAL, Base


class Dataset(Base):
    """An uploaded data set. Readers see it once ``complete``; at most one of each ``id`` is. See ``service.datasets``."""

    __tablename__ = "datasets"

    number: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    id: Mapped[str] = mapped_column(String(40))
    """Derived from owner and content, so the same upload gets the same id."""
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), default=LOCAL)
    name: Mapped[str | None] = mapped_column(String(100))
    """Name given by its owner."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the content: split names and normalised rows; lower-case hexadecimal."""
    splits: Mapped[dict[str, Any]]
    """By name: ``rows``, ``bytes`` and ``sha256`` of the stored file, and ``columns`` (``pruning.data.column_statistics``)."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes of all stored files together."""
    complete: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        Index(
            "uq_datasets_complete_id", "id", unique=True,
            postgresql_where=text("complete"), sqlite_where=text("complete"),
        ),
        Index(None, "owner", "number"),  # the list
        NO_ID_REUSE,
    )  # fmt: skip


class DatasetChunk(Base):
    """One piece of a split's file."""

    __tablename__ = "dataset_chunks"

    dataset: Mapped[int] = mapped_column(ForeignKey("datasets.number", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 0 within the split."""
    data: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (CheckConstraint("number >= 0", "number_counts_from_zero"),)
