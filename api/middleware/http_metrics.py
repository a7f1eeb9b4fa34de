"""HTTP metrics: latency by route, method and class of status, and requests in flight.

Plain ASGI, the innermost middleware of ``api.app``: the router leaves the matched route in the very scope that it was given, and
the others pass copies on. What they refuse themselves is not counted: requests from other machines to a service without keys.
"""

import time

from prometheus_client import CollectorRegistry, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.monitoring.definitions import LATENCY_BUCKETS, GaugeDefinition, HistogramDefinition
from service.monitoring.exemplars import current_exemplar

REQUEST_SECONDS = HistogramDefinition(
    "espalier_http_request_seconds",
    "From the head of a request to the head of its response. Not of requests that wait for their job by Prefer: wait",
    ("route", "method", "status"),
    buckets=LATENCY_BUCKETS,
)
IN_FLIGHT = GaugeDefinition("espalier_http_requests_in_flight", "Requests not answered to the end, event streams too")
DEFINITIONS = (REQUEST_SECONDS, IN_FLIGHT)
NO_ROUTE = "other"
"""Label of paths without a route: requests for random paths share one time series and not thousands."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WAITED = b"preference-applied"


class HttpMetricsMiddleware:
    """Observes every request in ``registry``."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self._seconds = REQUEST_SECONDS.create(registry)
        self._series: dict[tuple[str, str, str], Histogram] = {}
        """Those there are; asking prometheus_client for one costs as much as the observation."""
        self._in_flight = IN_FLIGHT.create(registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        answered = False

        async def observe_and_send(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if not any(name == _WAITED for name, _ in message["headers"]):  # ASGI has them in lower case
                    self._observe(scope, f"{message['status'] // 100}xx", time.perf_counter() - began)
            await send(message)

        self._in_flight.inc()
        try:
            await self.app(scope, receive, observe_and_send)
        except (ClientDisconnect, OSError):  # the client left; OSError is how a connection says so
            if not answered:
                self._observe(scope, "499", time.perf_counter() - began)
            raise
        except Exception:  # a bug, which api.middleware.request_id answers
            if not answered:
                self._observe(scope, "5xx", time.perf_counter() - began)
            raise
        finally:
            self._in_flight.dec()

    def _observe(self, scope: Scope, status: str, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else NO_ROUTE
        labels = (_route(scope), method, status)
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._seconds.labels(*labels)
        series.observe(seconds, current_exemplar(_traceparent(scope)))


def _traceparent(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)


def _route(scope: Scope) -> str:
    """The template of the path, such as ``/v1/jobs/{job_id}``."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else NO_ROUTE
