"""A psycopg connection with a read timeout, for ``Database.read_connection`` on PostgreSQL.

TCP reports a vanished host only after ``tcp_user_timeout``, and never a server that is frozen while its host still acknowledges.
In a file of its own because psycopg takes a tenth of a second to import and SQLite needs none of it.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

READ_TIMEOUT_SECONDS = 2.0
"""The longest that one exchange with the server may take; such a query takes milliseconds."""
RV = TypeVar("RV")


class ServerTimeoutError(psycopg.OperationalError):
    """The server sent nothing in time."""


class TimeoutConnection(psycopg.Connection[Any]):
    """Closes itself and raises ServerTimeoutError when the server has sent nothing for READ_TIMEOUT_SECONDS."""

    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        """psycopg calls this to wait for every response."""
        try:
            return super().wait(_within(gen, READ_TIMEOUT_SECONDS), *arguments, **options)
        except ServerTimeoutError:
            self.close()  # a late response would be read as that to the next statement
            raise


def _within(gen: PQGen[RV], seconds: float) -> PQGen[RV]:
    """``gen`` with a deadline; psycopg resumes it when the socket is ready, and else ten times a second."""
    deadline = time.monotonic() + seconds
    try:
        awaited = next(gen)
        while True:
            ready = yield awaited
            if not ready and time.monotonic() > deadline:
                raise ServerTimeoutError(f"the database has not answered for {seconds:g} s")
            awaited = gen.send(ready)
    except StopIteration as done:
        result: RV = done.value
        return result
