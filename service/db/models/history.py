"""Tables of a job's history: its events, and the metrics of its steps."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.base import NO_ID_REUSE, SERIAL, Base


class Event(Base):
    """What happened to a job, numbered 1, 2, 3, … without gaps; readers resume after a number."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    """Attempt in which it happened; 0 before the first."""
    type: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (CheckConstraint("seq >= 1", "seq_counts_from_one"),)


class Metric(Base):
    """Metrics of one step. A resumed job repeats the steps after its checkpoint under a higher ``attempt``."""

    __tablename__ = "metrics"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[int]
    values: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (Index(None, "job_id", "id"), NO_ID_REUSE)
