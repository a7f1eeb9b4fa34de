"""A load generator that takes little of the processor it shares with the service: raw HTTP/1.1 over kept connections.

Called by ``benchmarks/service.py``. ``steady`` is open-loop: a request is due at its time whether or not the earlier ones
were answered, and its latency counts from then, so that a service that stalls cannot hide it. What the generator itself
costs and how late it sends is part of the outcome: where that is not small, the latencies are its own.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import uvloop


@dataclass
class Outcome:
    """What came back."""

    statuses: dict[int, int] = field(default_factory=dict)
    """Answers by HTTP status."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, in the order of the answers."""
    lateness: list[float] = field(default_factory=list)
    """Seconds from when a request was due until the generator came to send it; of ``steady`` alone."""
    seconds: float = 0.0
    """From the first request to the last answer."""
    cpu_seconds: float = 0.0
    """Processor time of the generator."""

    def add(self, status: int, latency: float) -> None:
        """Count one answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latencies.append(latency)

    def summary(self) -> dict[str, object]:
        """Rate and latencies (milliseconds), rounded."""
        ordered = sorted(self.latencies)
        late = {"generator_late_p99_ms": _hundredth(sorted(self.lateness))} if self.lateness else {}
        return {
            "answers": {str(status): count for status, count in sorted(self.statuses.items())},
            "per_second": round(len(ordered) / self.seconds, 1),
            "p50_ms": round(1e3 * median(ordered), 2),
            "p99_ms": _hundredth(ordered),
            "max_ms": round(1e3 * ordered[-1], 2),
            **late,
            "generator_cores": round(self.cpu_seconds / self.seconds, 2),
        }


def _hundredth(ordered: Sequence[float]) -> float:
    """What 99 of 100 stay below, in milliseconds."""
    return round(1e3 * ordered[int(0.99 * (len(ordered) - 1))], 2)


class Connection(asyncio.Protocol):
    """One kept connection, for one request at a time."""

    def __init__(self, url: str, headers: str = "") -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = f"Host: {self.host}:{self.port}\r\n{headers}"
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._head = b""
        self._left = 0

    async def ask(self, method: str, path: str, body: bytes = b"") -> int:
        """Send one request, read the whole answer without keeping it; the status. Raises OSError, EOFError."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._transport, _ = await loop.create_connection(lambda: self, self.host, self.port)
        self._head, self._left = b"", 0
        self._answer = loop.create_future()
        length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
        self._transport.write(f"{method} {path} HTTP/1.1\r\n{self._headers}{length}\r\n".encode() + body)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Feed bytes of the head and the body, in pieces of any size."""
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self._head[:end].lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            self._left = length - (len(self._head) - end - 4)
        if self._left == 0 and self._answer is not None and not self._answer.done():
            self._answer.set_result(int(self._head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Deliver the response to its waiter."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or EOFError("the service closed the connection within an answer"))

    def close(self) -> None:
        """Let go of the socket."""
        if self._transport is not None:
            self._transport.close()


def steady(
    url: str, paths: Sequence[str], *, per_second: float, seconds: float, connections: int = 32, headers: str = ""
) -> Outcome:
    """GET ``paths``, one after the other and over again, at a steady rate. ``headers`` are lines that end in CRLF."""
    outcome = Outcome()

    async def send_all() -> None:
        pool: asyncio.Queue[Connection] = asyncio.Queue()
        everyone = [Connection(url, headers) for _ in range(connections)]
        for connection in everyone:
            pool.put_nowait(connection)

        async def one(due: float, path: str) -> None:
            connection = await pool.get()
            status = await connection.ask("GET", path)
            outcome.add(status, time.perf_counter() - due)
            pool.put_nowait(connection)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, path in zip(range(int(per_second * seconds)), cycle(paths), strict=False):
                due = began + number / per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                outcome.lateness.append(time.perf_counter() - due)
                group.create_task(one(due, path))
        for connection in everyone:
            connection.close()

    return _run(outcome, send_all())


def crowd(url: str, requests: Iterator[tuple[str, str, bytes]], *, clients: int, headers: str = "") -> Outcome:
    """``clients`` at once, each sending the next request as soon as its last one was answered."""
    outcome = Outcome()

    async def client() -> None:
        connection = Connection(url, headers)
        for method, path, body in requests:
            sent = time.perf_counter()
            outcome.add(await connection.ask(method, path, body), time.perf_counter() - sent)
        connection.close()

    async def send_all() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())

    return _run(outcome, send_all())


def _run(outcome: Outcome, send_all: Coroutine[Any, Any, None]) -> Outcome:
    began, used = time.perf_counter(), time.process_time()
    uvloop.run(send_all)
    outcome.seconds, outcome.cpu_seconds = time.perf_counter() - began, time.process_time() - used
    return outcome


def timed(run: Callable[[], object]) -> float:
    """Seconds that ``run`` takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
