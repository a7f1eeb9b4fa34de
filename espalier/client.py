"""The Python client of a running service: submit, watch, download.

    with Client("http://127.0.0.1:8000") as client:
        job = client.wait(client.submit(model="bert-base-uncased", task="sst2", sparsity=0.9))
        client.download(job, "mask.safetensors", "sst2.safetensors")

Synchronous; one client may be shared by threads. Every method raises ApiError or Unreachable (``errors.py``).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from espalier.download import Report, download
from espalier.errors import ApiError, JobNotSucceeded, Unreachable
from espalier.http import Http
from espalier.resources import Artifact, Event, Job, JobPage

POLL_SECONDS = (0.2, 2.0)
"""First and longest pause between two looks at a job; each pause is half as long again as the one before."""
_BUSY = frozenset({429, 502, 503, 504})
"""Answers that say come back later."""


class Client:
    """Talks to one service."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = Http(base_url, api_key, transport)

    @property
    def base_url(self) -> str:
        """Where the service is, without a slash at the end."""
        return self._http.base_url

    def submit(self, **spec: Any) -> Job:
        """Post a job: ``model`` and ``task``, and any other field of the spec or of the job (``metadata``, …)."""
        return Job.model_validate(self._http.ask("POST", "/v1/jobs", json=spec))

    def get(self, job: Job | str) -> Job:
        """The job as it is now."""
        return Job.model_validate(self._http.ask("GET", f"/v1/jobs/{_id(job)}"))

    def page(self, *, limit: int | None = None, after: str | None = None, **filters: Any) -> JobPage:
        """One page of jobs, newest first; filters as in the HTTP interface: ``status``, ``task``, ``model``, ``method``."""
        asked = {"limit": limit, "after": after, **filters}
        parameters = {name: value for name, value in asked.items() if value is not None}
        return JobPage.model_validate(self._http.ask("GET", "/v1/jobs", params=parameters))

    def list(self, **filters: Any) -> Iterator[Job]:
        """All jobs that the filters let through, newest first, page after page."""
        page = self.page(**filters)
        yield from page.data
        while page.has_more and page.next_cursor is not None:
            page = self.page(**{**filters, "after": page.next_cursor})
            yield from page.data

    def cancel(self, job: Job | str) -> Job:
        """Ask for the end of a job; a running one ends within seconds."""
        return Job.model_validate(self._http.ask("POST", f"/v1/jobs/{_id(job)}/cancel"))

    def pause(self, job: Job | str) -> Job:
        """Lay a job aside; a running one leaves a checkpoint and is paused within seconds."""
        return Job.model_validate(self._http.ask("POST", f"/v1/jobs/{_id(job)}/pause"))

    def resume(self, job: Job | str) -> Job:
        """Queue a paused job again; it goes on from its checkpoint."""
        return Job.model_validate(self._http.ask("POST", f"/v1/jobs/{_id(job)}/resume"))

    def retry(self, job: Job | str) -> Job:
        """A new job that does a failed or cancelled one again."""
        return Job.model_validate(self._http.ask("POST", f"/v1/jobs/{_id(job)}/retry"))

    def events(self, job: Job | str, after: int = 0) -> Iterator[Event]:
        """What has happened to the job so far, from the event after number ``after`` on."""
        more = True
        while more:
            page = self._http.ask("GET", f"/v1/jobs/{_id(job)}/events", params={"after": after})
            for data in page["data"]:
                event = Event.model_validate(data)
                after = event.seq
                yield event
            more = bool(page.get("has_more")) and bool(page["data"])

    def watch(self, job: Job | str, *, timeout: float | None = None, patience: float = 60.0) -> Iterator[Job]:
        """The job each time it has changed, until and including its end.

        A service that is away (restarting, say) is waited for up to ``patience`` seconds. Raises TimeoutError when the
        job has not ended after ``timeout`` seconds.
        """
        started = answered = time.monotonic()
        seen: Job | None = None
        pause, longest = POLL_SECONDS
        while seen is None or not seen.ended:
            now: Job | None = None
            try:
                now = self.get(job)
                answered = time.monotonic()
            except (Unreachable, ApiError) as error:
                passing = isinstance(error, Unreachable) or error.status in _BUSY
                if not passing or time.monotonic() - answered > patience:
                    raise
            if now is not None and now != seen:
                seen, pause = now, POLL_SECONDS[0]
                yield now
                continue
            if timeout is not None and time.monotonic() - started > timeout:
                raise TimeoutError(f"{_id(job)} has not ended after {timeout:g} seconds")
            time.sleep(pause)
            pause = min(pause * 1.5, longest)

    def wait(self, job: Job | str, timeout: float | None = None) -> Job:
        """The job once it has ended, whatever its end. Raises TimeoutError after ``timeout`` seconds."""
        for seen in self.watch(job, timeout=timeout):  # noqa: B007 - the last one is the answer
            pass
        return seen

    def download(
        self,
        job: Job | str,
        name: str = "mask.safetensors",
        path: str | Path | None = None,
        *,
        report: Report | None = None,
    ) -> Path:
        """Fetch an artifact to ``path`` (a file or an existing folder; default: its name, here).

        Resumes what an earlier call left, verifies the digest and only then gives the file its name. Raises
        JobNotSucceeded when the job has made no such artifact, DownloadCorrupt when the digest does not match.
        """
        artifact = self._artifact(self.get(job), name)
        target = Path(path) if path is not None else Path(name)
        return download(self._http, artifact, target / name if target.is_dir() else target, report)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _artifact(job: Job, name: str) -> Artifact:
        artifact = job.artifact(name)
        if artifact is None:
            made = ", ".join(sorted(artifact.name for artifact in job.artifacts)) or "none"
            why = f": {job.error.message}" if job.error is not None else ""
            raise JobNotSucceeded(f"{job.id} is {job.status} and has no artifact {name} (it has {made}){why}")
        return artifact


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id
