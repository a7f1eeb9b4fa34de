"""Tables of uploaded models, their files and the pieces of those that are stored in the database."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.models.base import SERIAL, Base
from service.db.models.upload import UploadColumns, upload_indexes

_URL_LENGTH = 2048


class UploadedModel(UploadColumns, Base):
    """An uploaded model, whose ``sha256`` is of the names and digests of its files. See ``service.uploaded_models``."""

    __tablename__ = "uploaded_models"

    model_type: Mapped[str] = mapped_column(String(64))
    masked_weights: Mapped[int | None] = mapped_column(BigInteger)
    """Weights that a mask applies to."""

    __table_args__ = upload_indexes(__tablename__)


class ModelFile(Base):
    """A file of an uploaded model."""

    __tablename__ = "model_files"

    model: Mapped[int] = mapped_column(ForeignKey("uploaded_models.number", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    sha256: Mapped[str] = mapped_column(String(64))
    chunk_bytes: Mapped[int]
    """Size of every chunk but the last, where it is in chunks."""
    storage: Mapped[str | None] = mapped_column(String(_URL_LENGTH))
    """The setting ``storage_url`` when it was stored; None: its bytes are chunks in the database."""
    object_name: Mapped[str | None] = mapped_column(String(300))
    """Name of the object under that URL; never used twice."""

    __table_args__ = (CheckConstraint("size >= 0 AND chunk_bytes > 0", "sizes_positive"), Index(None, "object_name", unique=True))


class ModelChunk(Base):
    """One piece of a model's file."""

    __tablename__ = "model_chunks"

    model: Mapped[int] = mapped_column(SERIAL, primary_key=True, autoincrement=False)
    file: Mapped[str] = mapped_column(String(200), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 0 within the file."""
    data: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        ForeignKeyConstraint(["model", "file"], ["model_files.model", "model_files.name"], ondelete="CASCADE"),
        CheckConstraint("number >= 0", "number_counts_from_zero"),
    )
