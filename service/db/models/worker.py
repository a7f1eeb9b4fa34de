"""Tables of workers and their latest heartbeats, and of the turns in which they maintain the service."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.base import Base


class Worker(Base):
    """A worker process that has sent a heartbeat."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    hostname: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    slots: Mapped[int]
    devices: Mapped[int] = mapped_column(default=1, server_default="1")
    """The most devices that it can give to one job."""
    protocol: Mapped[int] = mapped_column(default=1, server_default="1")
    """The newest protocol that it knows: see ``service.protocol``."""
    started_at: Mapped[datetime] = mapped_column(default=now_sql())
    seen_at: Mapped[datetime] = mapped_column(default=now_sql())


class MaintenanceTurn(Base):
    """When some maintenance of the whole service is due again. See ``service.jobs.turns``."""

    __tablename__ = "maintenance_turns"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    due_at: Mapped[datetime]
