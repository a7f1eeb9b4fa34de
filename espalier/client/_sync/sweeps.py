# made by `python -m scripts.unasync` from espalier/client/_async/sweeps.py; change that file, not this one
"""Sweep calls of ``Client``: submit a grid of jobs, watch, plot."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from espalier.client._sync.http import Http
from espalier.client._sync.polling import poll
from espalier.client._sync.waiting import in_thread
from espalier.client.job_fields import SharedFields
from espalier.client.models import Sweep
from espalier.client.resource import lists_fields, resource_path

WATCH_SECONDS = 2.0
"""Pause between two requests for a sweep that is watched."""


class SweepCalls:
    """Methods of ``Client`` for sweeps. Every one raises ApiError or UnreachableError."""

    _http: Http

    @lists_fields(SharedFields)
    def sweep(
        self,
        *,
        sparsities: Sequence[float],
        methods: Sequence[str] = ("smp-s",),
        seeds: Sequence[int] = (42,),
        baseline: float | bool | None = None,
        **base: Unpack[SharedFields],
    ) -> Sweep:
        """Post a job for every combination; ``base`` is what they share: ``model``, ``task`` and other fields of a job.

        ``baseline``, the metric of the dense model as you measured it, is the dashed line of the plot; ``True`` has every job train
        the dense model as well, which is the job's own field ``baseline``.
        """
        axes = {"methods": [*methods], "sparsities": [*sparsities], "seeds": [*seeds]}
        shared = {**base, "baseline": baseline} if isinstance(baseline, bool) else base
        body = {"base": shared, **axes} | ({} if baseline is None or isinstance(baseline, bool) else {"baseline": baseline})
        return Sweep.model_validate(self._http.request("POST", "/v1/sweeps", json=body))

    def get_sweep(self, sweep: Sweep | str) -> Sweep:
        """The sweep with its results so far."""
        return Sweep.model_validate(self._http.request("GET", _path(sweep)))

    def sweeps(self) -> Iterator[Sweep]:
        """All sweeps, newest first, page after page, without their results."""
        for row in self._http.rows("/v1/sweeps"):
            yield Sweep.model_validate(row)

    def watch_sweep(self, sweep: Sweep | str, *, timeout: float | None = None, patience: float = 60.0) -> Iterator[Sweep]:
        """The sweep each time it has changed, until and including its end.

        An unreachable service is waited for up to ``patience`` seconds. Raises TimeoutError when jobs have not ended after
        ``timeout`` seconds.
        """
        unfinished = f"{_path(sweep)} has jobs that have not ended"
        pauses = (WATCH_SECONDS, WATCH_SECONDS)
        yield from poll(lambda: self.get_sweep(sweep), unfinished, pauses=pauses, timeout=timeout, patience=patience)

    def cancel_sweep(self, sweep: Sweep | str) -> Sweep:
        """Request the end of every job that has not ended."""
        return Sweep.model_validate(self._http.request("POST", f"{_path(sweep)}/cancel"))

    def delete_sweep(self, sweep: Sweep | str) -> None:
        """Delete a sweep that has ended, with its jobs and all their files."""
        self._http.request("DELETE", _path(sweep))

    def sweep_plot(self, sweep: Sweep | str, path: str | Path) -> Path:
        """Plot the jobs that have succeeded by now, as SVG or PNG by the suffix of ``path``. Raises ValueError for others."""
        target = Path(path)
        kind = target.suffix.lower()
        if kind not in (".svg", ".png"):
            raise ValueError(f"{target} must end in .svg or .png")
        response = self._http.send("GET", f"{_path(sweep)}/plot{kind}")
        in_thread(partial(target.write_bytes, response.content))
        return target

    def sweep_csv(self, sweep: Sweep | str) -> str:
        """A line per combination."""
        return (self._http.send("GET", f"{_path(sweep)}/results", params={"format": "csv"})).text


def _path(sweep: Sweep | str) -> str:
    return resource_path("sweeps", sweep)
