"""A job on a read-only file system, under the locale C and over IPv6: API and worker write to their data and /tmp folders alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import services
from tests.espalier.cli.test_encodings import ASCII_LOCALE
from tests.processes import CommandProcess
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model
from tests.waiting import wait_until

_READ_ONLY = """
mount --make-rprivate / && mount --bind "$DATA" "$DATA" && mount --bind "$TMPDIR" "$TMPDIR" && mount -o remount,ro,bind /
if touch "$OUTSIDE" 2> /dev/null; then echo "the file system can be written to" >&2; exit 1; fi
exec "$@"
"""
READ_ONLY = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh"]
"""A command whose file system is read-only except for two folders, in a mount namespace of its own; needs root."""
SPEC: dict[str, Any] = {
    "model": "toy",
    "task": "sst2",
    "sparsity": 0.75,
    "max_steps": 4,
    "batch_size": 8,
    "max_length": 32,
    "metadata": {"name": "Büroklammer 東京"},
}


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of both programs, with a broker that listens on IPv6; skips where no such namespace can be made."""
    for name in ("data", "tmp"):
        (tmp_path / name).mkdir()
    make_model(tmp_path / "models" / "toy")
    make_opinions(tmp_path / "datasets" / "sst2")
    variables = {
        **ASCII_LOCALE,
        "DATA": str(tmp_path / "data"),
        "OUTSIDE": str(tmp_path / "outside"),
        "TMPDIR": str(tmp_path / "tmp"),
        "HOME": str(tmp_path / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ESPALIER_DATA_DIR": str(tmp_path / "data"),
        "ESPALIER_MODELS_DIR": str(tmp_path / "models"),
        "ESPALIER_DATASETS_DIR": str(tmp_path / "datasets"),
        "ESPALIER_HUB_ENABLED": "false",
        "ESPALIER_TRAINER_THREADS": "1",
    }
    probe = shutil.which("unshare") and subprocess.run([*READ_ONLY, "true"], env={"PATH": "/usr/bin:/bin", **variables})
    if not probe or probe.returncode != 0:
        pytest.skip("no read-only mount namespace can be made here")
    try:
        redis = services.RedisServer("--bind", "127.0.0.1", "::1")
    except services.UnavailableError as error:
        pytest.skip(str(error))
    with redis:
        yield variables | {"ESPALIER_BROKER_URL": f"redis://[::1]:{redis.port}/0"}


def test_a_job_succeeds(environment: dict[str, str], tmp_path: Path) -> None:
    def start(name: str, *arguments: str) -> CommandProcess:
        command = [*READ_ONLY, sys.executable, "-m", "espalier.cli", *arguments]
        return CommandProcess(command, environment, tmp_path / "logs", name)

    with start("migrate", "db", "upgrade") as migrate:
        assert migrate.wait(120) == 0, migrate.stderr
    with start("api", "api", "--host", "::1", "--port", "0") as api, start("worker", "worker") as worker:
        url = json.loads(api.wait_for_line("listens on"))["event"].split("listens on ")[1]
        assert url.startswith("http://[::1]:")
        worker.wait_for_line("is ready", seconds=120)
        with httpx.Client(base_url=url, timeout=60) as client:
            wait_until(lambda: client.get("/livez").is_success, what="the API")
            job_id = client.post("/v1/jobs", json=SPEC).raise_for_status().json()["id"]

            def ended() -> Any:
                job = client.get(f"/v1/jobs/{job_id}").json()
                return job if job["status"] in ("succeeded", "failed") else None

            job = wait_until(ended, seconds=200, what="the end of the job")
            assert job["status"] == "succeeded", job["error"]
            assert job["metadata"] == SPEC["metadata"]
            assert client.get("/readyz").json()["checks"]["broker"] == "ok"
        for program in (api, worker):
            program.process.terminate()
            program.wait(60)
    assert not (tmp_path / "home").exists()
