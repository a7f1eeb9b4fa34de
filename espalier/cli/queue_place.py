"""Position of queued jobs in the queue: how many jobs of each kind are before each, and its number of devices."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from espalier.cli.job_text import field

if TYPE_CHECKING:
    from espalier.client._sync.client import Client
    from espalier.client.models import Job

_PAGE = 100


def read_waits(client: "Client", found: "Sequence[Job]") -> dict[str, str]:
    """Id of a queued job → its position, as far as the first page of the queue shows it."""
    queued = [job for job in found if job.status == "queued"]
    if not queued:
        return {}
    ahead = [
        job
        for status in ("running", "queued")
        for kind in ("pruning", "export", "evaluation")
        for job in client.page(limit=_PAGE, status=status, kind=kind).data
    ]
    return {job.id: waits_for(job, ahead) for job in queued}


def waits_for(job: "Job", others: "Sequence[Job]") -> str:
    """``behind 2 jobs and 1 export; needs 8 devices``; jobs with a higher priority and older ones are taken first."""
    before = [other for other in others if other.id != job.id and _goes_first(other, job)]
    exports, evaluations = (sum(field(other, name) is not None for other in before) for name in ("export_of", "evaluation_of"))
    counts = ((len(before) - exports - evaluations, "job"), (exports, "export"), (evaluations, "evaluation"))
    words = " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count)
    devices = job.spec.get("devices") or 1
    asks = f"needs {devices} devices" if isinstance(devices, int) and devices > 1 else ""
    return "; ".join(filter(None, (f"behind {words}" if words else "", asks)))


def _goes_first(other: "Job", job: "Job") -> bool:
    if other.status == "running":
        return True
    mine, theirs = field(job, "priority") or 0, field(other, "priority") or 0
    return theirs > mine or (theirs == mine and str(other.created_at) < str(job.created_at))
