# made by `python -m scripts.unasync` from espalier/client/_async/jobs.py; change that file, not this one
"""Job calls of ``Client``: submit, read, list, control, watch, download."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack

from espalier.client._sync.download import Report, download
from espalier.client._sync.follow import follow
from espalier.client._sync.http import Http
from espalier.client._sync.polling import poll
from espalier.client.job_fields import EvaluationFields, ExportFields, JobFields, JobFilters
from espalier.client.models import Artifact, DryRun, Event, Job, JobPage, MetricRow
from espalier.client.progress import ProgressLine
from espalier.client.resource import lists_fields, resource_path
from espalier.errors import JobNotSucceededError, NotEspalierError

POLL_SECONDS = (0.2, 2.0)
"""First and longest pause between two requests for a job that is watched."""


class JobCalls:
    """Methods of ``Client`` for jobs. Every one raises ApiError or UnreachableError."""

    _http: Http

    @lists_fields(JobFields)
    def submit(self, **fields: Unpack[JobFields]) -> Job:
        """Post a job: ``model`` and ``task``, and any other field of the spec or of the job (``metadata``, …).

        A field that the service does not know is refused by it, with the most similar name.
        When the response is lost and the request repeated, there is still one job.
        """
        return self._job(self._http.request("POST", "/v1/jobs", json=fields))

    @lists_fields(JobFields)
    def dry_run(self, **fields: Unpack[JobFields]) -> DryRun:
        """Dry run of ``submit``: the job resolved, checked and estimated, and not created.

        Raises the same exceptions as the submission. An older service has no dry run and creates the job: its response is refused
        with NotEspalierError, and the created job is cancelled.
        """
        answer = self._http.request("POST", "/v1/jobs", params={"dry_run": "true"}, json=fields)
        if "dry_run" not in answer:
            self.cancel(self._job(answer))
            raise NotEspalierError("this service is too old for a dry run; update it")
        return DryRun.model_validate(answer)

    def get(self, job: Job | str, *, curve: bool = False) -> Job:
        """The job as it is now; with ``curve`` also its metrics by step, which a notebook then draws."""
        found = self._job(self._http.request("GET", _path(job)))
        if not curve:
            return found
        rows = [MetricRow.model_validate(row) for row in self._http.rows(f"{_path(job)}/metrics")]
        return found.model_copy(update={"curve": rows})

    @lists_fields(JobFilters)
    def page(self, **filters: Unpack[JobFilters]) -> JobPage:
        """One page of jobs, newest first; filters as in the HTTP interface: ``status``, ``task``, ``model``, ``method``,
        ``sweep``, ``kind`` and ``metadata``, a mapping all of whose pairs the jobs have."""
        query: dict[str, Any] = {**filters}
        query |= {f"metadata[{key}]": value for key, value in (query.pop("metadata", None) or {}).items()}
        parameters = {name: value for name, value in query.items() if value is not None}
        return JobPage.received(self._http.request("GET", "/v1/jobs", params=parameters), self._http.public_url)

    @lists_fields(JobFilters)
    def list(self, **filters: Unpack[JobFilters]) -> Iterator[Job]:
        """All jobs that match the filters, newest first, page after page."""
        page = self.page(**filters)
        for job in page.data:
            yield job
        while page.has_more and page.next_cursor is not None:
            filters["after"] = page.next_cursor
            page = self.page(**filters)
            for job in page.data:
                yield job

    def cancel(self, job: Job | str) -> Job:
        """Request the end of a job; a running one ends within seconds."""
        return self._job(self._http.request("POST", f"{_path(job)}/cancel"))

    def pause(self, job: Job | str) -> Job:
        """Pause a job; a running one writes a checkpoint and is paused within seconds."""
        return self._job(self._http.request("POST", f"{_path(job)}/pause"))

    def resume(self, job: Job | str) -> Job:
        """Queue a paused job again; it continues from its checkpoint."""
        return self._job(self._http.request("POST", f"{_path(job)}/resume"))

    def retry(self, job: Job | str) -> Job:
        """A new job that repeats a failed or cancelled one."""
        return self._job(self._http.request("POST", f"{_path(job)}/retry"))

    def delete(self, job: Job | str) -> None:
        """Delete a job that has ended, with all its files."""
        self._http.request("DELETE", _path(job))

    def events(self, job: Job | str, after: int = 0, *, live: bool = False, patience: float = 60.0) -> Iterator[Event]:
        """The job's events with numbers above ``after``; with ``live`` also those to come, until the job ends.

        A broken live stream continues after the last event, without gaps and repetitions; an unreachable service is waited for up
        to ``patience`` seconds.
        """
        path = f"{_path(job)}/events"
        if live:
            for event in follow(self._http, path, after, patience):
                yield event
            return
        more = True
        while more:
            page = self._http.page(path, {"after": after})
            for data in page["data"]:
                event = Event.model_validate(data)
                after = event.seq
                yield event
            more = bool(page.get("has_more")) and bool(page["data"])

    def metrics(self, job: Job | str) -> Iterator[MetricRow]:
        """The metrics of each step that reported some, in order."""
        for row in self._http.rows(f"{_path(job)}/metrics"):
            yield MetricRow.model_validate(row)

    def log(self, job: Job | str) -> str:
        """The job's log so far, a line per event."""
        return (self._http.send("GET", f"{_path(job)}/log")).text

    def watch(self, job: Job | str, *, timeout: float | None = None, patience: float = 60.0) -> Iterator[Job]:
        """The job each time it has changed, until and including its end.

        An unreachable service (one that restarts, for example) is waited for up to ``patience`` seconds. Raises TimeoutError when
        the job has not ended after ``timeout`` seconds.
        """
        unfinished = f"{_id(job)} has not ended"
        yield from poll(lambda: self.get(job), unfinished, pauses=POLL_SECONDS, timeout=timeout, patience=patience)

    def wait(self, job: Job | str, timeout: float | None = None, *, progress: bool = False) -> Job:
        """The job once it has ended, in any final state. Raises TimeoutError after ``timeout`` seconds.

        With ``progress`` a line shows its progress, on a terminal and in a notebook; the job that is returned has its ``curve``.
        """
        with ProgressLine(enabled=progress) as line:
            for seen in self.watch(job, timeout=timeout):
                line.show(seen)
        return self.get(seen, curve=True) if progress else seen

    @lists_fields(ExportFields)
    def export(self, job: Job | str, formats: Sequence[str], **fields: Unpack[ExportFields]) -> Job:
        """Export the mask of a job that has succeeded to other formats: ``compact``, ``onnx``, …

        Returns the export job, an earlier one if it has the same formats; ``wait`` for it, then ``download`` its
        ``export-<format>.zip``.
        """
        body = {"formats": [*formats], **fields}
        return self._job(self._http.request("POST", f"{_path(job)}/exports", json=body))

    def exports(self, job: Job | str) -> Iterator[Job]:
        """The jobs that export this one's mask, newest first."""
        for row in self._http.rows(f"{_path(job)}/exports"):
            yield self._job(row)

    @lists_fields(EvaluationFields)
    def evaluate(self, job: Job | str, **fields: Unpack[EvaluationFields]) -> Job:
        """Evaluate the mask of a job that has succeeded: on the rows that its training validated on, on another ``split``, or
        on another ``dataset`` with the task's columns and labels; with ``dense`` the dense model as well.

        Returns the evaluation job; ``wait`` for it, and its ``result`` has the metrics (``final``) and the number of ``rows``.
        """
        return self._job(self._http.request("POST", f"{_path(job)}/evaluations", json=fields))

    def evaluations(self, job: Job | str) -> Iterator[Job]:
        """The jobs that evaluate this one's mask, newest first."""
        for row in self._http.rows(f"{_path(job)}/evaluations"):
            yield self._job(row)

    def download(
        self, job: Job | str, name: str = "mask.safetensors", path: str | Path | None = None, *, report: Report | None = None
    ) -> Path:
        """Download an artifact to ``path`` (a file or an existing folder; default: its name, in the working directory).

        Resumes what an earlier call left, verifies the digest and only then gives the file its name. ``report`` is called
        with bytes fetched and bytes in all. Raises JobNotSucceededError when the job has made no such artifact,
        DownloadCorruptError when the digest does not match.
        """
        artifact = _artifact(self.get(job), name)
        target = Path(path) if path is not None else Path(name)
        return download(self._http, artifact, target / name if target.is_dir() else target, report)

    def _job(self, data: Any) -> Job:
        return Job.received(data, self._http.public_url)


def _artifact(job: Job, name: str) -> Artifact:
    artifact = job.artifact(name)
    if artifact is None:
        made = ", ".join(sorted(artifact.name for artifact in job.artifacts)) or "none"
        why = f": {job.error.message}" if job.error is not None else ""
        raise JobNotSucceededError(f"{job.id} is {job.status} and has no artifact {name} (it has {made}){why}")
    return artifact


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def _path(job: Job | str) -> str:
    return resource_path("jobs", job)
