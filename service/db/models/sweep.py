"""Table of sweeps: grids of jobs that were submitted as one."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.access import LOCAL, OWNER_LENGTH
from service.db.models.base import Base
from service.ids import new_sweep_id


class Sweep(Base):
    """One submission of methods × sparsities × seeds. Its jobs name it; see ``service.sweeps.sweeps``."""

    __tablename__ = "sweeps"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_sweep_id)
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), default=LOCAL)
    grid: Mapped[dict[str, Any]]
    """``methods``, ``sparsities`` and ``seeds``, each a list without repetitions, in the given order."""
    base: Mapped[dict[str, Any]]
    """The fields that all jobs share, as given: each job's spec fills in the defaults."""
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    """The user's own key-value pairs; each job has them too."""
    baseline: Mapped[float | None]
    """The metric of the dense model as measured by its user, for the plot."""
    created_at: Mapped[datetime] = mapped_column(default=now_sql())

    __table_args__ = (
        Index(None, "created_at", "id"),  # the list, of all owners
        Index(None, "owner", "created_at", "id"),  # and of one
    )
