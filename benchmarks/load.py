"""A load generator that takes little of the processor it shares with the service: raw HTTP/1.1 over kept connections.

Called by ``benchmarks/service.py``. ``steady`` is open-loop: a request is due at its time whether or not the earlier ones
were answered, and its latency counts from then, so that a service that stalls cannot hide it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """What came back."""

    statuses: dict[int, int] = field(default_factory=dict)
    """Answers by HTTP status."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, in the order of the answers."""
    seconds: float = 0.0
    """From the first request to the last answer."""

    def add(self, status: int, latency: float) -> None:
        """Count one answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.latencies.append(latency)

    def summary(self) -> dict[str, object]:
        """Rate and latencies (milliseconds), rounded."""
        ordered = sorted(self.latencies)
        return {
            "answers": {str(status): count for status, count in sorted(self.statuses.items())},
            "per_second": round(len(ordered) / self.seconds, 1),
            "p50_ms": round(1e3 * median(ordered), 2),
            "p99_ms": round(1e3 * ordered[int(0.99 * (len(ordered) - 1))], 2),
            "max_ms": round(1e3 * ordered[-1], 2),
        }


class Connection:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> int:
        """Send one request, read the whole answer without keeping it; the status. Raises OSError, EOFError."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Length: {len(body)}\r\n"
        if body:
            head += "Content-Type: application/json\r\n"
        writer.write(f"{head}\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        left = next(
            (int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while left > 0:
            piece = await reader.read(min(left, 1 << 16))
            if not piece:
                raise EOFError("the service closed the connection within an answer")
            left -= len(piece)
        return status

    def close(self) -> None:
        """Let go of the socket."""
        if self._streams is not None:
            self._streams[1].close()


async def steady(url: str, path: str, *, per_second: float, seconds: float, connections: int = 32) -> Outcome:
    """GET ``path`` at a steady rate."""
    pool: asyncio.Queue[Connection] = asyncio.Queue()
    everyone = [Connection(url) for _ in range(connections)]
    for connection in everyone:
        pool.put_nowait(connection)
    outcome, began = Outcome(), time.perf_counter()

    async def one(due: float) -> None:
        connection = await pool.get()
        status = await connection.ask("GET", path)
        outcome.add(status, time.perf_counter() - due)
        pool.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    outcome.seconds = time.perf_counter() - began
    for connection in everyone:
        connection.close()
    return outcome


async def crowd(url: str, requests: Iterator[tuple[str, str, bytes]], *, clients: int) -> Outcome:
    """``clients`` at once, each sending the next request as soon as its last one was answered."""
    outcome, began = Outcome(), time.perf_counter()

    async def client() -> None:
        connection = Connection(url)
        for method, path, body in requests:
            sent = time.perf_counter()
            outcome.add(await connection.ask(method, path, body), time.perf_counter() - sent)
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    outcome.seconds = time.perf_counter() - began
    return outcome


def timed(run: Callable[[], object]) -> float:
    """Seconds that ``run`` takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
