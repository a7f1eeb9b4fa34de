"""A connection to PostgreSQL that gives up on a server from which nothing comes. Used by ``service.db.engine`` for looks.

TCP tells of a host that is gone without a word only after ``tcp_user_timeout``, and never of a server that is frozen while
its host answers. Of no use with SQLite, and psycopg takes a tenth of a second to import.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

READ_TIMEOUT_SECONDS = 2.0
"""That one exchange with the server may take; a look takes milliseconds."""
RV = TypeVar("RV")


class ServerTimeoutError(psycopg.OperationalError):
    """Nothing came in time."""


class TimeoutConnection(psycopg.Connection[Any]):
    """Closes itself and raises ServerSilent where the server has been silent and SECONDS are over."""

    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        """What psycopg waits for every answer with."""
        try:
            return super().wait(_within(gen, READ_TIMEOUT_SECONDS), *arguments, **options)
        except ServerTimeoutError:
            self.close()  # the answer may come yet, and would be taken for that to the next statement
            raise


def _within(gen: PQGen[RV], seconds: float) -> PQGen[RV]:
    """``gen``, which psycopg goes on with whenever there is something to read or write, and ten times a second if not."""
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
