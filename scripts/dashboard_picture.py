"""Picture of the Grafana dashboard: ``python -m scripts.dashboard_picture`` makes ``docs/images/dashboard.png`` without Grafana.

Runs the embedded service and a real Prometheus (Debian's package ``prometheus``), submits jobs and requests for some minutes, asks
every query of the dashboard over that time and draws each panel in its place. Grafana draws the same data in its own style.
"""

import argparse
import json
import math
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from demo.settings import SHIPPED_SPEC
from espalier.client import Client
from scripts.screenshots import IMAGES, embedded_service
from tests.prometheus import DASHBOARD, PrometheusServer, prometheus
from tests.services import free_port
from tests.webhook_receiver import webhook_receiver

_RATES = "20s"
_STEP_SECONDS = 2
_SIZE = (22.0, 25.0)
_JOBS: tuple[dict[str, Any], ...] = (
    {"max_steps": 150, "method": "smp-s"},
    {"max_steps": 100, "method": "smp-l"},
    {"max_steps": 100, "method": "magnitude"},
    {"max_steps": 100, "method": "movement", "exports": ["compact"]},
    {"max_steps": 100_000, "max_duration": 20, "method": "smp-s"},
    {"max_steps": 100, "method": "soft-movement"},
)
_UNITS = {"s": (1, "s"), "bytes": (2**20, "MiB"), "Bps": (2**10, "KiB/s"), "percentunit": (0.01, "%"), "reqps": (1, "/s")}


def main() -> None:
    """Raises SystemExit where the service does not start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES / "dashboard.png")
    parser.add_argument("--seconds", type=float, default=240, help="most that the service is watched")
    options = parser.parse_args()
    port = free_port()
    settings = {
        "ESPALIER_WORKER_METRICS_PORT": str(port),
        "ESPALIER_TRAINER_THREADS": "1",
        "ESPALIER_WEBHOOK_ALLOW_PRIVATE": "true",
        "ESPALIER_WEBHOOK_ALLOW_HTTP": "true",
    }
    with (
        tempfile.TemporaryDirectory(prefix="espalier-dashboard-") as folder,
        embedded_service(Path(folder), settings) as url,
        prometheus(
            Path(folder), {"espalier-api": url.removeprefix("http://"), "espalier-worker": f"127.0.0.1:{port}"}, "", "2s"
        ) as server,
    ):
        began = time.time()
        _use(url, options.seconds)
        _draw(server, began, time.time(), options.to)


def _use(url: str, seconds: float) -> None:
    """Submit the jobs, and call the service until all have ended or the time is over."""
    with webhook_receiver(500) as receiver, Client(url) as client, _readers(url):
        client.create_webhook(url=receiver.url, events=["job.succeeded", "job.failed"])
        jobs = [client.submit(**{**SHIPPED_SPEC, "sparsity": 0.9, **changes}) for changes in _JOBS]
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and any(not client.get(job.id).ended for job in jobs):
            time.sleep(1)
        time.sleep(4 * _STEP_SECONDS)  # the ends are scraped, too


@contextmanager
def _readers(url: str) -> Iterator[None]:
    """Threads that ask for pages, lists and what does not exist."""
    stopping = threading.Event()
    paths = ("/", "/v1/jobs", "/v1/jobs?limit=100", "/v1/methods", "/readyz", "/v1/jobs/job_none", "/nothing", "/openapi.json")

    def read() -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not stopping.is_set():
                for path in paths:
                    client.get(path)
                    stopping.wait(0.1)

    threads = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _draw(server: PrometheusServer, start: float, end: float, to: Path) -> None:
    mpl.rcParams.update({"font.size": 7, "axes.titlesize": 9, "axes.grid": True, "grid.alpha": 0.3, "lines.linewidth": 1.2})
    described = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in described["panels"])
    figure = Figure(figsize=_SIZE)
    for panel in described["panels"]:
        place = panel["gridPos"]
        left, bottom = place["x"] / 24, 1 - (place["y"] + place["h"]) / height
        if panel["type"] == "row":
            figure.text(left + 0.01, bottom + 0.3 / height, panel["title"], fontsize=12, weight="bold")
            continue
        room = (left + 0.03, bottom + 1.6 / height, place["w"] / 24 - 0.04, (place["h"] - 2.8) / height)
        _draw_panel(figure.add_axes(room), panel, server, start, end)
    figure.savefig(to, dpi=80)


def _draw_panel(axes: Axes, panel: dict[str, Any], server: PrometheusServer, start: float, end: float) -> None:
    factor, unit = _UNITS.get(panel["fieldConfig"]["defaults"]["unit"], (1, ""))
    drawn = 0
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", _RATES)
        for series in server.query_range(query, start, end, _STEP_SECONDS):
            values = [(float(at) - start, float(value) / factor) for at, value in series["values"]]
            axes.plot(*zip(*[(at, math.nan if math.isinf(value) else value) for at, value in values], strict=True))
            axes.lines[-1].set_label(_legend(target["legendFormat"], series["metric"]))
            drawn += 1
    axes.set_title(f"{panel['title']}{f' ({unit})' if unit else ''}", loc="left")
    axes.set_xlim(0, end - start)
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])  # room for the legend
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{int(seconds // 60)}:{int(seconds % 60):02d}"))
    if drawn:
        axes.legend(loc="upper left", fontsize=6, framealpha=0.6, ncols=2 if drawn > 5 else 1)
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="gray", fontsize=11)


def _legend(template: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        template = template.replace(f"{{{{{name}}}}}", value)
    return template


if __name__ == "__main__":
    main()
