# made by `python -m scripts.unasync` from espalier/client/_async/client.py; change that file, not this one
"""``Client``, the Python client of a running service: submit, watch, download.

    with Client("http://127.0.0.1:8000") as client:
        job = client.wait(client.submit(model="bert-base-uncased", task="sst2", sparsity=0.9))
        client.download(job, "mask.safetensors", "sst2.safetensors")

Every method raises ApiError, UnreachableError or NotEspalierError (``errors.py``).
The calls for each kind of resource are in separate modules.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from espalier.client._sync.datasets import DatasetCalls
from espalier.client._sync.http import RETRIES, Http
from espalier.client._sync.jobs import JobCalls
from espalier.client._sync.masks import MaskCalls
from espalier.client._sync.models import ModelCalls
from espalier.client._sync.predictions import PredictionCalls
from espalier.client._sync.sweeps import SweepCalls
from espalier.client._sync.webhooks import WebhookCalls
from espalier.client.models import Method, Readiness, SecretState, Task
from espalier.client.timeouts import Timeouts

_HUB = "/v1/secrets/hub_token"


class Client(JobCalls, PredictionCalls, DatasetCalls, MaskCalls, ModelCalls, SweepCalls, WebhookCalls):
    """Talks to one service."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        retries: int = RETRIES,
        notify: Callable[[str], None] | None = None,
        timeouts: Timeouts | None = None,
        notify_when_slow: Callable[[str], None] | None = None,
    ) -> None:
        """``retries``: how often a request that is safe to repeat is sent again, with growing pauses, when the service is
        unreachable or busy. ``notify`` is called with a line of text when the first try of a request fails and others follow;
        ``notify_when_slow``, in a thread of its own, when there is no answer for three seconds. ``timeouts``: by default 5 s for a
        connection, 60 s for an answer, 600 s where a data set is uploaded.

        A service on this machine is called without a proxy, independent of the environment's variables. Raises ConfigurationError
        for a URL, key or proxy variable that cannot be used."""
        self._http = Http(base_url, api_key, transport, retries, notify, timeouts, notify_when_slow)

    @property
    def base_url(self) -> str:
        """Address of the service, without a slash at the end."""
        return self._http.base_url

    def tasks(self) -> list[Task]:
        """The tasks known by name, with their defaults."""
        return [Task.model_validate(row) for row in self._http.rows("/v1/tasks")]

    def methods(self) -> list[Method]:
        """The pruning methods, with their defaults."""
        return [Method.model_validate(row) for row in self._http.rows("/v1/methods")]

    def hub_token(self) -> SecretState:
        """Whether your jobs have a token for private and gated models on the hub, and since when; never the token."""
        return SecretState.model_validate(self._http.request("GET", _HUB))

    def set_hub_token(self, value: str) -> SecretState:
        """Store a token for your own jobs; encrypted, never shown again."""
        return SecretState.model_validate(self._http.request("PUT", _HUB, json={"value": value}))

    def delete_hub_token(self) -> None:
        """Delete the token; a running job keeps its copy until it ends."""
        self._http.request("DELETE", _HUB)

    def ready(self) -> dict[str, Any]:
        """State of what a job needs: ``database``, ``broker``, ``workers``. Raises ApiError (503) when a job would not run."""
        return Readiness.model_validate(self._http.request("GET", "/readyz")).checks

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.public_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
