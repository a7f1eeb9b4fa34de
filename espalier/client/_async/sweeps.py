"""Sweeps in the client: a grid of jobs submitted, watched and drawn as one. The part of ``AsyncClient`` that speaks of them."""

import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from espalier.client._async.http import BUSY, Http
from espalier.client._async.waiting import in_thread, sleep
from espalier.client.models import Sweep
from espalier.errors import ApiError, UnreachableError

WATCH_SECONDS = 2.0
"""Pause between two looks at a sweep."""


class SweepCalls:
    """What ``AsyncClient`` can do with sweeps. Every method raises ApiError or UnreachableError."""

    _http: Http

    async def sweep(
        self,
        *,
        sparsities: Sequence[float],
        methods: Sequence[str] = ("smp-s",),
        seeds: Sequence[int] = (42,),
        baseline: float | None = None,
        **base: Any,
    ) -> Sweep:
        """Post a job for every combination; ``base`` is what they share: ``model``, ``task`` and other fields of a job.

        ``baseline``, the metric of the dense model as you measured it, is the dashed line of the plot.
        """
        axes = {"methods": [*methods], "sparsities": [*sparsities], "seeds": [*seeds]}
        body = {"base": base, **axes} | ({"baseline": baseline} if baseline is not None else {})
        return Sweep.model_validate(await self._http.ask("POST", "/v1/sweeps", json=body))

    async def get_sweep(self, sweep: Sweep | str) -> Sweep:
        """The sweep with its results by now."""
        return Sweep.model_validate(await self._http.ask("GET", _path(sweep)))

    async def sweeps(self) -> AsyncIterator[Sweep]:
        """All sweeps, newest first, page after page, without their results."""
        async for row in self._http.rows("/v1/sweeps"):
            yield Sweep.model_validate(row)

    async def watch_sweep(
        self, sweep: Sweep | str, *, timeout: float | None = None, patience: float = 60.0
    ) -> AsyncIterator[Sweep]:
        """The sweep each time it has changed, until and including its end.

        A service that is away is waited for up to ``patience`` seconds. Raises TimeoutError when jobs have not ended after
        ``timeout`` seconds.
        """
        started = answered = time.monotonic()
        seen: Sweep | None = None
        while seen is None or not seen.ended:
            try:
                now = await self.get_sweep(sweep)
                answered = time.monotonic()
            except (UnreachableError, ApiError) as error:
                passing = isinstance(error, UnreachableError) or error.status in BUSY
                if not passing or time.monotonic() - answered > patience:
                    raise
                now = None
            if now is not None and now != seen:
                seen = now
                yield now
                continue
            if timeout is not None and time.monotonic() - started > timeout:
                raise TimeoutError(f"{_path(sweep)} has jobs that have not ended after {timeout:g} seconds")
            await sleep(WATCH_SECONDS)

    async def cancel_sweep(self, sweep: Sweep | str) -> Sweep:
        """Ask for the end of every job that has not ended."""
        return Sweep.model_validate(await self._http.ask("POST", f"{_path(sweep)}/cancel"))

    async def delete_sweep(self, sweep: Sweep | str) -> None:
        """Delete a sweep that has ended, with its jobs and all that they made."""
        await self._http.ask("DELETE", _path(sweep))

    async def sweep_plot(self, sweep: Sweep | str, path: str | Path) -> Path:
        """Draw what has succeeded by now: an SVG or a PNG, as the ending of ``path`` says. Raises ValueError for others."""
        target = Path(path)
        kind = target.suffix.lower()
        if kind not in (".svg", ".png"):
            raise ValueError(f"{target} must end in .svg or .png")
        answer = await self._http.exchange("GET", f"{_path(sweep)}/plot{kind}")
        await in_thread(partial(target.write_bytes, answer.content))
        return target

    async def sweep_csv(self, sweep: Sweep | str) -> str:
        """A line per combination."""
        return (await self._http.exchange("GET", f"{_path(sweep)}/results", params={"format": "csv"})).text


def _path(sweep: Sweep | str) -> str:
    return f"/v1/sweeps/{sweep if isinstance(sweep, str) else sweep.id}"
