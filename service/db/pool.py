"""Connection pool that measures how long its users wait for a connection.

Used by ``service.db.engine`` for every engine; ``service.monitoring`` observes it. SQLAlchemy has events for connections that were
got, and none for the wait before.
"""

import time
from collections.abc import Callable

from sqlalchemy.pool import PoolProxiedConnection, QueuePool


class TimedPool(QueuePool):
    """SQLAlchemy's QueuePool with a callback."""

    __module__ = QueuePool.__module__  # after which SQLAlchemy names the logger: its lines are the library's and not the service's
    on_wait: Callable[[float], None] | None = None
    """Called with the seconds from asking for a connection until there was one, or none within the timeout. They have the ping of
    an idle connection and the making of a new one in them, too."""

    def connect(self) -> PoolProxiedConnection:
        """A connection of the pool, once there is one. Raises sqlalchemy.exc.TimeoutError."""
        if self.on_wait is None:
            return super().connect()
        began = time.perf_counter()
        try:
            return super().connect()
        finally:
            self.on_wait(time.perf_counter() - began)

    def recreate(self) -> "TimedPool":
        """An empty pool with the same options and the same callback, as after a lost connection."""
        pool = super().recreate()
        assert isinstance(pool, TimedPool)  # noqa: S101 - QueuePool makes one of the class of self
        pool.on_wait = self.on_wait
        return pool
