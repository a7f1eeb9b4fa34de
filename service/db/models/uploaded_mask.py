"""Tables of uploaded masks and the pieces of their files."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from service.db.models.base import Base
from service.db.models.upload import UploadColumns, upload_indexes


class UploadedMask(UploadColumns, Base):
    """A mask file that a user brought, whose ``sha256`` is the file's. See ``service.uploaded_masks``."""

    __tablename__ = "uploaded_masks"

    about: Mapped[dict[str, Any]]
    """What its metadata say (``api.uploads.mask_check.MaskSummary``)."""

    __table_args__ = upload_indexes(__tablename__)


class MaskChunk(Base):
    """One piece of a mask file."""

    __tablename__ = "mask_chunks"

    mask: Mapped[int] = mapped_column(ForeignKey("uploaded_masks.number", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 0."""
    data: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (CheckConstraint("number >= 0", "number_counts_from_zero"),)
