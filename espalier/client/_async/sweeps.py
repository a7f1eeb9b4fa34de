"""Sweep calls of ``AsyncClient``: submit a grid of jobs, watch, plot."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from espalier.client._async.http import Http
from espalier.client._async.polling import poll
from espalier.client._async.waiting import in_thread
from espalier.client.job_fields import SharedFields
from espalier.client.models import Sweep
from espalier.client.resource import lists_fields, resource_path

WATCH_SECONDS = 2.0
"""Pause between two requests for a sweep that is watched."""


class SweepCalls:
    """Methods of ``AsyncClient`` for sweeps. Every one raises ApiError or UnreachableError."""

    _http: Http

    @lists_fields(SharedFields)
    async def sweep(
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
        return Sweep.model_validate(await self._http.request("POST", "/v1/sweeps", json=body))

    async def get_sweep(self, sweep: Sweep | str) -> Sweep:
        """The sweep with its results so far."""
        return Sweep.model_validate(await self._http.request("GET", _path(sweep)))

    async def sweeps(self) -> AsyncIterator[Sweep]:
        """All sweeps, newest first, page after page, without their results."""
        async for row in self._http.rows("/v1/sweeps"):
            yield Sweep.model_validate(row)

    async def watch_sweep(
        self, sweep: Sweep | str, *, timeout: float | None = None, patience: float = 60.0
    ) -> AsyncIterator[Sweep]:
        """The sweep each time it has changed, until and including its end.

        An unreachable service is waited for up to ``patience`` seconds. Raises TimeoutError when jobs have not ended after
        ``timeout`` seconds.
        """
        unfinished = f"{_path(sweep)} has jobs that have not ended"
        pauses = (WATCH_SECONDS, WATCH_SECONDS)
        async for seen in poll(lambda: self.get_sweep(sweep), unfinished, pauses=pauses, timeout=timeout, patience=patience):
            yield seen

    async def cancel_sweep(self, sweep: Sweep | str) -> Sweep:
        """Request the end of every job that has not ended."""
        return Sweep.model_validate(await self._http.request("POST", f"{_path(sweep)}/cancel"))

    async def delete_sweep(self, sweep: Sweep | str) -> None:
        """Delete a sweep that has ended, with its jobs and all their files."""
        await self._http.request("DELETE", _path(sweep))

    async def sweep_plot(self, sweep: Sweep | str, path: str | Path) -> Path:
        """Plot the jobs that have succeeded by now, as SVG or PNG by the suffix of ``path``. Raises ValueError for others."""
        target = Path(path)
        kind = target.suffix.lower()
        if kind not in (".svg", ".png"):
            raise ValueError(f"{target} must end in .svg or .png")
        response = await self._http.send("GET", f"{_path(sweep)}/plot{kind}")
        await in_thread(partial(target.write_bytes, response.content))
        return target

    async def sweep_csv(self, sweep: Sweep | str) -> str:
        """A line per combination."""
        return (await self._http.send("GET", f"{_path(sweep)}/results", params={"format": "csv"})).text


def _path(sweep: Sweep | str) -> str:
    return resource_path("sweeps", sweep)
