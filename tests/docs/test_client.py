"""Every example of docs/reference/client.md, run as it stands; a thread in the place of a worker ends the jobs."""

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app import create_app
from espalier import AsyncClient
from service.artifacts import store
from service.db.engine import Database
from service.jobs import claims
from service.jobs.fence import Fence
from service.settings import Settings
from tests.processes import ROOT
from tests.serving import serving

TEXT = (ROOT / "docs" / "reference" / "client.md").read_text(encoding="utf-8")
SYNC, ASYNC = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
MASK = b"a mask"


def work(database: Database, folder: Path, stopping: threading.Event) -> None:
    """Let every queued job succeed."""
    (folder / "mask").write_bytes(MASK)
    while not stopping.wait(0.02):
        with database.write() as session:
            job = claims.claim(session, worker_id="w", lease_seconds=600)
        if job is None:
            continue
        mask = store.put(
            database,
            Fence(job.id, 1),
            name="mask.safetensors",
            media_type="application/octet-stream",
            path=folder / "mask",
            size=len(MASK),
            sha256=hashlib.sha256(MASK).hexdigest(),
            chunk_bytes=4096,
        )
        with database.write() as session:
            claims.succeed(session, Fence(job.id, 1), result={}, mask_artifact_id=mask)


@pytest.fixture
def address(migrated_sqlite: Path, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "espalier.db").write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{tmp_path}/espalier.db")
    stopping = threading.Event()
    worker = threading.Thread(target=work, args=(database, tmp_path, stopping))
    worker.start()
    with serving(create_app(Settings(data_dir=tmp_path, database_url=database.url))) as at:
        yield at.removeprefix("http://")
    stopping.set()
    worker.join()
    database.dispose()


@pytest.mark.parametrize(("program", "masks", "words"), [(SYNC, 1, "6 of 6 bytes"), (ASYNC, 2, "status")])
def test_the_examples(program: str, masks: int, words: str, address: str, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program.replace("127.0.0.1:8000", address)],
        cwd=here,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert [file.read_bytes() for file in here.iterdir()] == [MASK] * masks


def test_the_table_has_every_method() -> None:
    methods = {name for name, call in vars(AsyncClient).items() if callable(call) and not name.startswith("_")}
    for base in AsyncClient.__mro__[1:-1]:
        methods |= {name for name in vars(base) if not name.startswith("_")}
    listed = set(re.findall(r"`(\w+)`", "\n".join(line for line in TEXT.splitlines() if line.startswith("| "))))
    assert listed == methods - {"close"}
