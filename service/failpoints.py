"""Named places where a process kills itself when it is told to: how the tests die at every step between two writes.

``ESPALIER_CRASH_AT=claim.committed`` ends the process there with SIGKILL, as a power cut would, or freezes it with the signal
that ``ESPALIER_CRASH_WITH`` names (SIGSTOP); with ``ESPALIER_CRASH_ONCE`` naming a file, only the first process to come by is
hit, and leaves the file. Nobody sets these outside of tests. The trainer, which must not import this package, has its own
places in ``pruning/failpoints.py``.
"""

import os
import signal
import threading
from enum import StrEnum
from pathlib import Path

AT, ONCE, WITH = "ESPALIER_CRASH_AT", "ESPALIER_CRASH_ONCE", "ESPALIER_CRASH_WITH"


class Point(StrEnum):
    """Every place; ``written`` is inside a transaction whose writes are all made, ``committed`` right behind it."""

    SUBMIT_WRITTEN = "submit.written"
    SUBMIT_COMMITTED = "submit.committed"
    """In the API: the job is stored, the bell has not been rung."""
    SUBMIT_RUNG = "submit.rung"
    """In the API: everything is done but the answer."""
    WISH_COMMITTED = "wish.committed"
    """In the API: a cancel, pause or resume is stored but not answered."""
    CLAIM_WRITTEN = "claim.written"
    CLAIM_COMMITTED = "claim.committed"
    WORK_PREPARED = "work.prepared"
    """The work folder is there, the trainer is not."""
    TRAINER_STARTED = "trainer.started"
    HEARTBEAT_WRITTEN = "heartbeat.written"
    HEARTBEAT_COMMITTED = "heartbeat.committed"
    EVENT_WRITTEN = "event.written"
    EVENT_COMMITTED = "event.committed"
    METRICS_WRITTEN = "metrics.written"
    ARTIFACT_REGISTERED = "artifact.registered"
    """An artifact's row is committed, none of its bytes."""
    ARTIFACT_CHUNK = "artifact.chunk"
    """Some of its bytes are committed."""
    ARTIFACT_WRITTEN = "artifact.written"
    ARTIFACT_COMMITTED = "artifact.committed"
    """It is complete, and the event that announced it is not written."""
    FINISH_WRITTEN = "finish.written"
    FINISH_COMMITTED = "finish.committed"
    """The verdict stands; the work folder is still there."""
    RESCUE_WRITTEN = "rescue.written"
    RESCUE_COMMITTED = "rescue.committed"
    """Jobs are queued again, nobody was rung for."""


def here(point: Point) -> None:
    """Die here if ``point`` was chosen."""
    if os.environ.get(AT) != point:
        return
    marker = os.environ.get(ONCE)
    if marker is not None:
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            return
    # to this thread: a signal to the process may stop another thread first, and this one would run on for a while
    signal.pthread_kill(threading.get_ident(), signal.Signals[os.environ.get(WITH, "SIGKILL")])
