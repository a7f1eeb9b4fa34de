"""HTTP port that a worker's metrics are read from, in a thread of its own; closed unless a setting names a port.

Started by ``worker.app``. It has neither keys nor TLS: what it shows has no names of users, models or jobs, and it listens on
loopback unless a setting says otherwise.
"""

import logging
from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from service.settings import Settings

log = logging.getLogger(__name__)


class MetricsPortError(Exception):
    """The worker cannot listen on the port of its metrics."""


class MetricsServer:
    """Answers every path with the metrics of ``registry`` until it is stopped."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        """Begins to listen if the settings name a port. Raises MetricsPortError."""
        self.port: int | None = None
        """Where it listens; None if it does not."""
        self._stop: Callable[[], None] = lambda: None
        if settings.worker_metrics_port is None:
            return
        host, port = settings.worker_metrics_host, settings.worker_metrics_port
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise MetricsPortError(
                f"metrics cannot be served on {host}:{port} ({error}); choose another ESPALIER_WORKER_METRICS_PORT: workers on "
                "one host need one each"
            ) from error

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop, self.port = stop, server.server_port
        log.info("metrics are served on http://%s:%d/metrics", host, self.port)

    def stop(self) -> None:
        """Close the port."""
        self._stop()
