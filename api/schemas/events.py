"""Response bodies of a job's history: its events, and its metrics step by step."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field
from sqlalchemy import Row

from api.schemas.base import Page


class Event(BaseModel):
    """Event of a job."""

    seq: int = Field(description="1, 2, 3, ... within the job, without gaps")
    attempt: int
    type: str
    data: dict[str, Any]
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row[Any]) -> Self:
        return cls(seq=row.seq, attempt=row.attempt, type=row.type, data=row.data, created_at=row.created_at)


class EventList(Page[Event]):
    """A page of events, oldest first."""


class MetricRow(BaseModel):
    """Metrics of one step."""

    step: int
    attempt: int = Field(description="The run that reported them")
    values: dict[str, Any]


class MetricList(Page[MetricRow]):
    """All steps of a job that reported numbers, in order."""
