"""Tables of uploaded data sets and their chunks."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.models.base import Base
from service.db.models.upload import UploadColumns, upload_indexes


class Dataset(UploadColumns, Base):
    """An uploaded data set. See ``service.datasets``."""

    __tablename__ = "datasets"

    splits: Mapped[dict[str, Any]]
    """Split name → ``rows``, ``bytes`` and ``sha256`` of the stored file, and ``columns`` (``pruning.data.column_statistics``)."""

    __table_args__ = upload_indexes(__tablename__)


class DatasetChunk(Base):
    """One piece of a split's file."""

    __tablename__ = "dataset_chunks"

    dataset: Mapped[int] = mapped_column(ForeignKey("datasets.number", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 0 within the split."""
    data: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (CheckConstraint("number >= 0", "number_counts_from_zero"),)
