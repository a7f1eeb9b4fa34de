"""Worker protocol: a number that keeps jobs from workers of an earlier version, which would fail what they do not know.

While an upgrade rolls through a service, an API of the new version may accept what the workers of the version before cannot run: a
kind of job, or a spec with a field that their trainers refuse. Every job has the protocol that a worker must know to run it, every
worker announces the one that it knows, and a claim takes no job with a higher one. Such a job waits for a worker that knows it.

Raise ``PROTOCOL`` by one, and name it below, in a version that adds a kind of job or fields of the spec; once per release is
enough.
"""

from collections.abc import Mapping
from typing import Final

from service.states import JobKind

PROTOCOL: Final = 2
"""What workers of this version know: everything up to it."""
SPEC_SINCE: Final = 2
"""The protocol that brought the newest field of a spec. ``tests/architecture/test_protocol.py`` records the fields."""
_KINDS_SINCE: Mapping[JobKind, int] = {JobKind.PRUNING: 1, JobKind.EXPORT: 1, JobKind.EVALUATION: 2}
"""The protocol that brought each kind of job. Workers before 2 ask for no protocol, and claim every job."""


def required_protocol(kind: JobKind) -> int:
    """What a worker must know to run a job of this kind whose spec was written by this version."""
    return max(SPEC_SINCE, _KINDS_SINCE[kind])
