"""Failpoints: named places at which a process kills or freezes itself, so that tests can interrupt it between any two writes.

``ESPALIER_CRASH_AT=checkpoint.written`` ends the process there with SIGKILL, as a power cut would, or sends it the signal that
``ESPALIER_CRASH_WITH`` names (SIGSTOP). With ``ESPALIER_CRASH_ONCE`` naming a file, only the first process that reaches the
failpoint is hit, and creates the file. Nothing sets these variables outside of tests. :class:`Failpoint` lists the trainer's own
failpoints; those of the API and the worker are in :mod:`service.failpoints`, which uses :func:`hit` as well.
"""

import os
import signal
import threading
from enum import StrEnum
from pathlib import Path

AT, ONCE, WITH = "ESPALIER_CRASH_AT", "ESPALIER_CRASH_ONCE", "ESPALIER_CRASH_WITH"


class Failpoint(StrEnum):
    """Every failpoint of the trainer."""

    PREPARED = "trainer.prepared"
    """Model and data are loaded, nothing is trained."""
    CHECKPOINT_BEGUN = "checkpoint.begun"
    """The checkpoint's temporary file exists and is empty."""
    CHECKPOINT_WRITTEN = "checkpoint.written"
    """The temporary file is complete and not yet renamed."""
    CHECKPOINT_NAMED = "checkpoint.named"
    """A run can resume from the checkpoint; no event was emitted, and older checkpoints still exist."""
    TRAINED = "trainer.trained"
    """The last step is done, no artifact is written."""
    BASELINE_STEP = "trainer.baseline_step"
    """A step of the baseline is done; the mask is stored."""
    ARTIFACT_FILED = "artifact.filed"
    """The artifacts are on disk, the first event about them is not emitted."""
    FINISHED = "trainer.finished"
    """Every event but the last is emitted."""
    LEAVING = "trainer.leaving"
    """Every event is emitted; the process has not ended."""


def hit(failpoint: StrEnum) -> None:
    """Kill or freeze the process here if the environment names this failpoint."""
    if os.environ.get(AT) != failpoint:
        return
    marker = os.environ.get(ONCE)
    if marker is not None:
        try:
            Path(marker).touch(exist_ok=False)
        except FileExistsError:
            return
    # to this thread: a signal to the process may stop another thread first, and this one would run on for a while
    signal.pthread_kill(threading.get_ident(), signal.Signals[os.environ.get(WITH, "SIGKILL")])
