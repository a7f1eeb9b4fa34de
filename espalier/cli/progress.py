"""A job drawn as a progress bar, for whoever waits for it: ``espalier run``, ``espalier watch``, ``make demo``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.client import Client
    from espalier.resources import Job


def follow(client: "Client", job: str) -> "Job":
    """Draw the progress bar until the job has ended."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[values]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        line = bar.add_task("queued", total=None, values="")
        for seen in client.watch(job):
            progress = seen.progress
            bar.update(
                line,
                description=seen.phase if seen.status == "running" and seen.phase else seen.status,
                total=progress.total_steps if progress is not None else None,
                completed=(progress.step or 0) if progress is not None else 0,
                values=_values(seen),
            )
    return seen


def _values(job: "Job") -> str:
    """Loss, remaining weights and time to go, as far as they are known."""
    metrics: dict[str, Any] = job.metrics or {}
    parts = []
    if (loss := metrics.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (remaining := metrics.get("remaining")) is not None:
        parts.append(f"remaining {remaining:.1%}")
    eta = job.progress.eta_seconds if job.progress is not None else None
    if eta is not None and not job.ended:
        minutes, seconds = divmod(round(eta), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"ETA {hours}:{minutes:02}:{seconds:02}")
    return "  ".join(parts)
