"""Processes of the quality benchmark: a few runs at a time, each in a process of its own, its row appended as it ends.

Called by the command ``run``. A row that is there is not made again, also where another program has made it meanwhile.
"""

import json
import os
import selectors
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.quality import rows
from benchmarks.quality.cell import Cell, Order
from pruning.processes.child import ChildProcess, format_exit
from pruning.processes.pipe_lines import LineBuffer

_READ_BYTES = 1 << 16


@dataclass
class Done:
    """What came of a grid."""

    ran: int = 0
    present: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass
class _Running:
    cell: Cell
    child: ChildProcess
    lines: LineBuffer
    row: rows.Row | None = None


class Scheduler:
    """Runs orders, ``workers`` at a time with ``threads`` threads each, and appends their rows to ``file``."""

    def __init__(self, file: Path, workers: int = 1, threads: int = 1) -> None:
        self._file, self._workers, self._threads = file, workers, threads
        self._began = time.monotonic()

    def run(self, orders: Sequence[Order]) -> Done:
        """Every order whose row is not there yet. Interrupted, it ends its processes; their runs start again next time."""
        done, waiting = Done(), list(orders)
        running: list[_Running] = []
        selector = selectors.DefaultSelector()
        try:
            while waiting or running:
                while waiting and len(running) < self._workers:
                    order = waiting.pop(0)
                    if rows.find(rows.read(self._file), order.cell):
                        done.present += 1
                        continue
                    started = self._start(order, len(waiting))
                    running.append(started)
                    selector.register(started.child.stdout, selectors.EVENT_READ, started)
                for key, _ in selector.select() if running else ():
                    each: _Running = key.data
                    data = os.read(each.child.stdout.fileno(), _READ_BYTES)
                    for line in each.lines.feed(data):
                        self._hear(each, line)
                    if not data:
                        selector.unregister(each.child.stdout)
                        running.remove(each)
                        self._finish(each, done)
        finally:
            for each in running:
                each.child.close()
        return done

    def _start(self, order: Order, left: int) -> _Running:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self._threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONPATH": str(rows.ROOT),
        }
        command = [sys.executable, "-m", "benchmarks.quality", "one", order.model_dump_json()]
        self._note(order.cell, f"starts, {left} waiting")
        return _Running(order.cell, ChildProcess(command, environment), LineBuffer())

    def _hear(self, each: _Running, line: bytes) -> None:
        said = json.loads(line)
        if "row" in said:
            each.row = said["row"]
        else:
            self._note(each.cell, said["progress"])

    def _finish(self, each: _Running, done: Done) -> None:
        code = each.child.close()
        if each.row is None:
            done.failed.append(each.cell.title)
            self._note(each.cell, f"failed with {format_exit(code)}; its errors are above")
            return
        rows.append(self._file, each.row)
        done.ran += 1
        row = each.row
        name = row["primary_metric"]
        held = f"{row['heldout'][name]:.4f} of {row['heldout_rows']} held out" if row["heldout"] else "no row held out"
        self._note(each.cell, f"{name} {row['metrics'][name]:.4f}, {held}, {row['seconds_training']:.0f} s")

    def _note(self, cell: Cell, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        print(f"{minutes:4}:{seconds:02} [{cell.title}] {text}", file=sys.stderr, flush=True)
