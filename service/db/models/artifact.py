"""Tables of artifacts: the files that jobs make, their chunks and their objects."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.base import NO_ID_REUSE, SERIAL, Base

URL_LENGTH = 2048


class Artifact(Base):
    """A file that a job made. Readers see it once ``complete``; at most one of each name is."""

    __tablename__ = "artifacts"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    name: Mapped[str] = mapped_column(String(100))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Lower-case hexadecimal."""
    chunk_bytes: Mapped[int]
    """Size of every chunk but the last."""
    complete: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        CheckConstraint("size >= 0 AND chunk_bytes > 0", "sizes_positive"),
        Index(None, "job_id"),  # a deleted job's artifacts
        Index(
            "uq_artifacts_complete_name",
            "job_id",
            "name",
            unique=True,
            postgresql_where=text("complete"),
            sqlite_where=text("complete"),
        ),
        NO_ID_REUSE,
    )


class StoredObject(Base):
    """The object that holds an artifact; an artifact without one is in chunks. See ``service.artifacts.backends``."""

    __tablename__ = "objects"

    artifact_id: Mapped[int] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    storage: Mapped[str] = mapped_column(String(URL_LENGTH))
    """The setting ``storage_url`` when it was stored, which may have changed since."""
    name: Mapped[str] = mapped_column(String(200))
    """Name of the object under that URL; never used twice."""

    __table_args__ = (Index(None, "name", unique=True),)


class ArtifactChunk(Base):
    """One piece of an artifact."""

    __tablename__ = "chunks"

    artifact_id: Mapped[int] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 0."""
    data: Mapped[bytes] = mapped_column(LargeBinary)
