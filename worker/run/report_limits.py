"""Limits on what a trainer may have recorded in one attempt: bytes of one event, of all events, and of its messages.

Used by ``worker.run.event_recorder``. Events are kept with the job for as long as it exists and are not artifacts, which quotas
count; a trainer that repeats itself must not fill the database.
"""

from pruning.events import Event, LogEvent
from worker.run.outcome import RejectedWriteError

_EVENT_BYTES = 64 * 1024
_LOG_BYTES = 4 * 1024 * 1024
_ALL_BYTES = 64 * 1024 * 1024
"""A run of a hundred million steps with a checkpoint every 500 reports a quarter of this."""
NOT_KEPT = f"the trainer's further messages, and those of more than {_EVENT_BYTES} bytes, are not stored"


class ReportLimits:
    """Bytes that one attempt has reported so far."""

    def __init__(self) -> None:
        self._logged = self._recorded = self._refused = 0

    @property
    def first_refusal(self) -> bool:
        """Whether the last refused event is the first one."""
        return self._refused == 1

    def admits(self, event: Event, size: int) -> bool:
        """Whether to record an event that came in ``size`` bytes; False only for a message to the user.

        Raises RejectedWriteError for any other event beyond the limits, because its content would be missing.
        """
        if isinstance(event, LogEvent):
            if size > _EVENT_BYTES or self._logged + size > _LOG_BYTES:
                self._refused += 1
                return False
            self._logged += size
            return True
        if size > _EVENT_BYTES:
            raise RejectedWriteError(f"the trainer's event {event.event} has {size} bytes, more than {_EVENT_BYTES}")
        self._recorded += size
        if self._recorded > _ALL_BYTES:
            raise RejectedWriteError(f"the trainer's events have more than {_ALL_BYTES} bytes together")
        return True
