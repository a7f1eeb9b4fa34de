"""Failpoints of the API and the worker: the names that tests use to kill or freeze a process between any two writes.

How a failpoint is chosen, and what it does, is in :mod:`pruning.failpoints`; the trainer's failpoints are listed there.
"""

from enum import StrEnum

from pruning.failpoints import AT, ONCE, WITH, hit

__all__ = ["AT", "ONCE", "WITH", "Failpoint", "hit"]


class Failpoint(StrEnum):
    """Every failpoint; ``written`` is inside a transaction whose writes are all made, ``committed`` right behind it."""

    SUBMIT_WRITTEN = "submit.written"
    SUBMIT_COMMITTED = "submit.committed"
    """In the API: the job is stored, the workers are not notified."""
    SUBMIT_NOTIFIED = "submit.notified"
    """In the API: everything is done except the response."""
    CONTROL_COMMITTED = "control.committed"
    """In the API: a request to cancel, pause or resume is stored, the response is not sent."""
    CLAIM_WRITTEN = "claim.written"
    CLAIM_COMMITTED = "claim.committed"
    WORK_PREPARED = "work.prepared"
    """The work folder exists, the trainer is not started."""
    TRAINER_STARTED = "trainer.started"
    HEARTBEAT_WRITTEN = "heartbeat.written"
    HEARTBEAT_COMMITTED = "heartbeat.committed"
    EVENT_WRITTEN = "event.written"
    EVENT_COMMITTED = "event.committed"
    METRICS_WRITTEN = "metrics.written"
    ARTIFACT_REGISTERED = "artifact.registered"
    """An artifact's row is committed, without any of its bytes."""
    ARTIFACT_CHUNK = "artifact.chunk"
    """Some of its bytes are committed."""
    ARTIFACT_WRITTEN = "artifact.written"
    ARTIFACT_COMMITTED = "artifact.committed"
    """The artifact is complete, and the event about it is not written."""
    FINISH_WRITTEN = "finish.written"
    FINISH_COMMITTED = "finish.committed"
    """The outcome is stored; the work folder still exists."""
    REQUEUE_WRITTEN = "requeue.written"
    REQUEUE_COMMITTED = "requeue.committed"
    """Jobs with expired leases are queued again, the workers are not notified."""
