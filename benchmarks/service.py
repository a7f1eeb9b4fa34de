"""Load benchmark of the service: submissions, status reads, downloads, long lists, and start-up time.

    python -m benchmarks.service [--json] [--database-url URL --broker-url URL] [--keys] [--out FILE --machine WORDS]

Everything runs at once on one machine: ``espalier serve``, a real training (the shipped model), and the load generator
(``benchmarks/load.py``). The last line is one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load import crowd, steady, timed
from benchmarks.process_memory import PeakMemory, child_named, resident
from benchmarks.stock_rows import add_artifact, add_jobs, add_key
from demo.settings import SHIPPED_SPEC
from espalier.cli.listen import bind, url_of

_SHIPPED = Path(__file__).parents[1] / "demo"
_SPEC = SHIPPED_SPEC | {"train_rows": 2000, "validation_rows": 200}
_ENVIRONMENT = {
    "ESPALIER_MODELS_DIR": str(_SHIPPED / "models"),
    "ESPALIER_DATASETS_DIR": str(_SHIPPED / "datasets"),
    "ESPALIER_HUB_ENABLED": "false",
    "ESPALIER_TRAINER_THREADS": "1",
}
_NO_LIMITS = {
    "ESPALIER_METRICS_OPEN": "true",
    "ESPALIER_REQUESTS_PER_MINUTE": "100000000",
    "ESPALIER_MAX_QUEUED_JOBS_PER_OWNER": "100000000",
}
"""Keys have limits below what is measured here."""
_STARTS = 5
_READ = 50
"""Jobs that are read in turn: the one that trains, and others that wait."""
_FILTERED = {
    "paused": {"status": "paused"},
    "failed": {"status": "failed"},
    "exports": {"kind": "export"},
    "unknown_model": {"model": "acme/none"},
    "other_method": {"method": "wanda"},
}
"""Lists of nearly all jobs, and of none."""
_DOWNLOAD_BYTES = 24 * 1024 * 1024


def main() -> None:
    """Measure everything, one thing after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--database-url", help="an empty PostgreSQL database; default the embedded SQLite")
    parser.add_argument("--broker-url", help="a Redis; default the embedded broker")
    parser.add_argument("--keys", action="store_true", help="every request has an API key, as beyond loopback")
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--reads-per-second", type=float, default=500)
    parser.add_argument("--listed", type=int, default=100_000, help="jobs in the table when it is listed")
    parser.add_argument("--out", type=Path, help="keep the result, with date and command, in this file as well")
    parser.add_argument("--machine", help="kind of machine, in general words, for --out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="espalier-benchmark-") as folder:
        data = Path(folder)
        (data / "datasets").mkdir()
        (data / "datasets" / "sst2").symlink_to(_SHIPPED / "datasets" / "reviews")  # the shipped rows under a known task
        results = _measure(arguments, data)
    if arguments.out:
        about = {
            "command": "python -m benchmarks.service",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": arguments.machine,
            "database": "postgresql" if arguments.database_url else "sqlite",
            "keys": arguments.keys,
        }
        arguments.out.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")
    print(json.dumps(results))


def _measure(arguments: argparse.Namespace, data: Path) -> dict[str, Any]:
    environment = _ENVIRONMENT | {"ESPALIER_DATA_DIR": str(data / "service")}
    for name in ("database_url", "broker_url"):
        if given := getattr(arguments, name):
            environment[f"ESPALIER_{name.upper()}"] = given
    if arguments.keys:
        environment |= _NO_LIMITS | {"ESPALIER_REQUIRE_KEYS": "true"}
    results: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:
        results[name] = value
        if not arguments.json:
            print(f"{name}: {json.dumps(value)}", flush=True)

    with _service(environment, keys=arguments.keys) as service:
        url, client = service.url, service.client
        note("api_start_seconds", _api_starts(os.environ | environment))
        note("trainer_start_seconds", _trainer_start(data))
        job = client.post("/v1/jobs", json=_SPEC | {"max_steps": 1_000_000}).raise_for_status().json()
        path = f"/v1/jobs/{job['id']}"
        _wait(lambda: client.get(path).json()["phase"] == "training")
        others = [client.post("/v1/jobs", json=_SPEC).raise_for_status().headers["location"] for _ in range(_READ - 1)]
        reads = steady(url, [path, *others], per_second=arguments.reads_per_second, seconds=20, headers=service.headers)
        note("status_reads_while_training", reads.summary())
        body = json.dumps(_SPEC | {"max_steps": 10}).encode()
        posts = iter([("POST", "/v1/jobs", body)] * arguments.submissions)
        note("submissions_by_32_clients", crowd(url, posts, clients=32, headers=service.headers).summary())
        rss = resident(service.api)
        artifact = add_artifact(service.database_url, job["id"], _DOWNLOAD_BYTES)
        peak = PeakMemory(service.api)
        gets = iter([("GET", f"{path}/artifacts/{artifact}", b"")] * 64)
        downloads = crowd(url, gets, clients=16, headers=service.headers)
        note(
            "downloads_by_16_clients",
            {
                **downloads.summary(),
                "mib_per_second": round(64 * _DOWNLOAD_BYTES / 2**20 / downloads.seconds, 1),
                "api_rss_before_mib": round(rss / 1024, 1),
                "api_rss_growth_mib": round((peak.stop() - rss) / 1024, 1),
            },
        )
        add_jobs(service.database_url, arguments.listed)
        note("list_pages_ms", _pages(client))
        note("scrapes_ms", _scrapes(client))
    return results


@dataclass(frozen=True)
class _Service:
    """A service that runs."""

    url: str
    api: int
    """Process number."""
    database_url: str
    key: str | None
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        given = {"Authorization": f"Bearer {self.key}"} if self.key else None
        object.__setattr__(self, "client", httpx.Client(base_url=self.url, headers=given, timeout=30))

    @property
    def headers(self) -> str:
        """For ``benchmarks.load``."""
        return f"Authorization: Bearer {self.key}\r\n" if self.key else ""


@contextmanager
def _service(environment: dict[str, str], *, keys: bool) -> Iterator[_Service]:
    """``espalier serve``."""
    serve = subprocess.Popen(
        [sys.executable, "-m", "espalier.cli", "serve", "--port", "0"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = serve.stdout.readline() if serve.stdout else ""
        if "listens on" not in line:
            raise SystemExit("the service did not start")
        default = f"sqlite:///{environment['ESPALIER_DATA_DIR']}/espalier.db"
        database_url = environment.get("ESPALIER_DATABASE_URL", default)
        api = child_named(serve.pid, "espalier.cli.api_process")
        key = add_key(database_url) if keys else None
        yield _Service(line.split("listens on ")[1].split()[0], api, database_url, key)
    finally:
        serve.terminate()
        serve.wait()


def _api_starts(environment: dict[str, str]) -> dict[str, float]:
    """From a new process to the first answer of ``/readyz``; the first start, which fills the caches, is not counted."""
    seconds = []
    for _ in range(_STARTS + 1):
        with bind("127.0.0.1", 0) as listening:
            command = [sys.executable, "-m", "espalier.cli.api_process", str(listening.fileno())]
            began = time.perf_counter()
            process = subprocess.Popen(command, env=environment, pass_fds=(listening.fileno(),))
            httpx.get(f"{url_of(listening)}/readyz", timeout=30)  # waits in the socket's queue
            seconds.append(time.perf_counter() - began)
            process.terminate()
            process.wait()
    return {"median": round(statistics.median(seconds[1:]), 2), "best": round(min(seconds[1:]), 2)}


def _trainer_start(data: Path) -> dict[str, float]:
    """From a new process to the end of its first step."""
    work = data / "trainer"
    work.mkdir()
    (work / "spec.json").write_text(json.dumps(_SPEC | {"max_steps": 10, "train_rows": 256, "validation_rows": 64}))
    command = [
        sys.executable,
        "-m",
        "pruning",
        "train",
        "--spec",
        str(work / "spec.json"),
        "--work",
        str(work),
        "--no-hub",
        "--models-dir",
        str(_SHIPPED / "models"),
        "--datasets-dir",
        str(_SHIPPED / "datasets"),
    ]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as trainer:
            next(line for line in trainer.stdout or () if json.loads(line)["event"] == "step")
            seconds.append(time.perf_counter() - began)
    return {"median": round(statistics.median(seconds), 2), "best": round(min(seconds), 2)}


def _pages(client: httpx.Client) -> dict[str, float]:
    """The first page, one in the middle and one near the end, and some of what few jobs have or none; median milliseconds of
    eleven reads of each."""
    places: dict[str, dict[str, str]] = {"first": {}}
    cursor, pages = None, 0
    while True:
        page = client.get("/v1/jobs", params={"limit": 100} | ({"after": cursor} if cursor else {})).json()
        pages += 1
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
        places |= {"middle": {"after": cursor}} if pages == 500 else {}
        places["last"] = {"after": cursor}
    places |= _FILTERED
    return {
        name: round(
            1e3
            * statistics.median(
                timed(lambda p=params: client.get("/v1/jobs", params=p))  # type: ignore[misc]
                for _ in range(11)
            ),
            2,
        )
        for name, params in places.items()
    }


def _scrapes(client: httpx.Client) -> dict[str, float]:
    """``/metrics`` when the sums of ended jobs are read, and the median of eleven later ones."""
    seconds = [timed(lambda: client.get("/metrics").raise_for_status()) for _ in range(12)]
    return {"first": round(1e3 * seconds[0], 1), "later": round(1e3 * statistics.median(seconds[1:]), 1)}


def _wait(condition: Any, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise SystemExit("the training did not begin")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
