"""Open-loop schedule: actions of many simulated actors, each due at a time, carried out by a few threads.

Called by ``benchmarks.scale``. The latency of an action counts from when it was due, whether or not a thread was free, so that a
database that stalls cannot hide it; ``busy`` is the part that a thread spent on it.
"""

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

Action = Callable[[], float | None]
"""Returns the seconds until it is due again, counted from when it was due, or None."""


@dataclass
class Timings:
    """Of one kind of action, in seconds."""

    latency: list[float] = field(default_factory=list)
    """From due to done."""
    busy: list[float] = field(default_factory=list)
    """From begun to done."""

    def extend(self, other: "Timings") -> None:
        """Add those of another process."""
        self.latency += other.latency
        self.busy += other.busy

    def summary(self, seconds: float) -> dict[str, float]:
        """Rate and latencies, rounded; ``seconds`` is the length of the measurement."""
        return {
            "per_second": round(len(self.latency) / seconds, 1),
            "busy_p50_ms": quantile(self.busy, 0.5),
            "busy_p99_ms": quantile(self.busy, 0.99),
            "p99_ms": quantile(self.latency, 0.99),
        }


def quantile(seconds: list[float], share: float) -> float:
    """Which ``share`` stay below, in milliseconds."""
    ordered = sorted(seconds)
    return round(1e3 * ordered[int(share * (len(ordered) - 1))], 2) if ordered else 0.0


class Schedule:
    """Actions of one process between ``run`` and its end."""

    def __init__(self, threads: int) -> None:
        self.timings: dict[str, Timings] = {}
        """By kind; of actions that were due inside the measurement."""
        self.done: Counter[str] = Counter()
        """By kind; of actions that ended inside the measurement, whenever they were due."""
        self.failures: list[str] = []
        """What actions raised: the first words of each."""
        self._threads = threads
        self._queue: list[tuple[float, int, str, Action]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._from, self._until = 0.0, 0.0
        self.overdue = 0
        """Actions that were due before the end and were not reached."""

    def add(self, kind: str, action: Action, delay: float = 0.0, *, due: float | None = None) -> None:
        """Do ``action`` after ``delay`` seconds, or at ``due`` on the monotonic clock."""
        entry = (time.monotonic() + delay if due is None else due, next(self._numbers), kind, action)
        with self._changed:
            heapq.heappush(self._queue, entry)
            self._changed.notify()

    def run(self, *, measure_from: float, until: float) -> None:
        """Carry out what is due until the monotonic clock says ``until``; an action that runs then is waited for."""
        self._from, self._until = measure_from, until
        threads = [threading.Thread(target=self._work, name=f"schedule-{number}") for number in range(self._threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.overdue = sum(due < until for due, *_ in self._queue)

    def _work(self) -> None:
        while (entry := self._take()) is not None:
            due, _, kind, action = entry
            began = time.monotonic()
            try:
                pause = action()
            except Exception as error:  # noqa: BLE001 - counted, and shown in the result
                self.failures.append(f"{kind}: {type(error).__name__}: {error}"[:200])
                continue
            done = time.monotonic()
            with self._changed:
                if done >= self._from:
                    self.done[kind] += 1
                if due >= self._from:
                    timings = self.timings.setdefault(kind, Timings())
                    timings.latency.append(done - due)
                    timings.busy.append(done - began)
            if pause is not None:
                self.add(kind, action, due=max(due + pause, began))  # what was missed is not made up for

    def _take(self) -> tuple[float, int, str, Action] | None:
        with self._changed:
            while True:
                now = time.monotonic()
                if now >= self._until:
                    return None
                if self._queue and self._queue[0][0] <= now:
                    return heapq.heappop(self._queue)
                following = self._queue[0][0] if self._queue else self._until
                self._changed.wait(min(following, self._until) - now)
