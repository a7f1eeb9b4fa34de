"""The port of a worker's metrics."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from service.settings import Settings
from tests import patient_http
from tests.services import listens
from worker.monitoring.server import MetricsPortError, MetricsServer


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("example_total", "an example", registry=registry).inc(3, exemplar={"trace_id": "ab"})
    return registry


def test_metrics_are_served_until_the_worker_stops(tmp_path: Path, registry: CollectorRegistry) -> None:
    server = MetricsServer(Settings(data_dir=tmp_path, worker_metrics_port=0), registry)
    assert server.port is not None
    url = f"http://127.0.0.1:{server.port}/metrics"
    assert "example_total 3.0\n" in patient_http.get(url).text
    assert 'trace_id="ab"' in patient_http.get(url, headers={"Accept": "application/openmetrics-text;version=1.0.0"}).text
    server.stop()
    assert not listens("127.0.0.1", server.port)


def test_no_port_is_open_unless_it_was_asked_for(tmp_path: Path, registry: CollectorRegistry) -> None:
    server = MetricsServer(Settings(data_dir=tmp_path), registry)
    assert server.port is None
    server.stop()


def test_a_port_that_is_taken_is_named_with_its_remedy(tmp_path: Path, registry: CollectorRegistry) -> None:
    first = MetricsServer(Settings(data_dir=tmp_path, worker_metrics_port=0), registry)
    with pytest.raises(MetricsPortError, match="ESPALIER_WORKER_METRICS_PORT"):
        MetricsServer(Settings(data_dir=tmp_path, worker_metrics_port=first.port), registry)
    first.stop()
