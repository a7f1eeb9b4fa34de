"""Named places where the trainer kills itself when it is told to, so that tests can die between any two of its writes.

``ESPALIER_CRASH_AT=checkpoint.written`` ends the process there with SIGKILL; with ``ESPALIER_CRASH_ONCE`` naming a file,
only the first process to come by dies, and leaves the file. The one thing that this package reads from the environment.
"""

import os
import signal
from enum import StrEnum
from pathlib import Path

AT, ONCE = "ESPALIER_CRASH_AT", "ESPALIER_CRASH_ONCE"


class Point(StrEnum):
    """Every place."""

    PREPARED = "trainer.prepared"
    """Model and data are loaded, nothing is trained."""
    CHECKPOINT_BEGUN = "checkpoint.begun"
    """Its temporary file is there and empty."""
    CHECKPOINT_WRITTEN = "checkpoint.written"
    """Its temporary file is complete and has not got its name."""
    CHECKPOINT_NAMED = "checkpoint.named"
    """It can be resumed from; nobody was told, and older ones are still there."""
    TRAINED = "trainer.trained"
    """The last step is done, no artifact is written."""
    ARTIFACT_FILED = "artifact.filed"
    """The artifacts are on disk, the first is not announced."""
    FINISHED = "trainer.finished"
    """All is announced but the end."""
    LEAVING = "trainer.leaving"
    """All is said; the process has not ended."""


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
    os.kill(os.getpid(), signal.SIGKILL)
