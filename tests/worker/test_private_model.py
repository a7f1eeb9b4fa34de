"""A private model, from a hub that asks for its token: set over HTTP, used by the real trainer, seen nowhere."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.app import create_app
from jobs.states import Status
from tests import toys
from tests.api.conftest import local
from tests.hub import Answer, Hub, running
from tests.worker.conftest import Bench
from tests.worker.test_hub_token import everything_stored
from worker.supervise import supervise

TOKEN = "hf_QWxhZGRpbjpvcGVuIHNlc2FtZQ"
SPEC = {"model": "org/private", "task": "sst2", "max_steps": 2, "batch_size": 8, "seed": 1}


@dataclass
class Watchful(Hub):
    """Looks, whenever it is asked, whether any process of this machine shows the token to others."""

    shown: list[str] = field(default_factory=list)
    looked: int = 0

    def answer(self, path: str, authorization: str | None = None) -> Answer:
        for file in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
            try:
                self.shown += [str(file)] if TOKEN.encode() in file.read_bytes() else []
                self.looked += 1
            except OSError:  # gone meanwhile, or somebody else's
                continue
        return super().answer(path, authorization)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_from_the_api_to_the_hub(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.make_opinions(tmp_path / "datasets" / "sst2", train=16, validation=8)
    settings = bench.context.settings.model_copy(update={"datasets_dir": tmp_path / "datasets"})
    bench.context.settings = settings
    hub = Watchful()
    hub.publish("org/private", toys.make_model(tmp_path / "toy"))
    hub.tokens = {"org/private": TOKEN}
    with running(hub), local(create_app(settings)) as client:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        assert client.put("/v1/secrets/hub_token", json={"value": TOKEN}).status_code == 200
        opened = client.post("/v1/jobs", json=SPEC).json()["id"]
        supervise(bench.claim(), bench.context)
        told = client.get(f"/v1/jobs/{opened}/log").text + client.get(f"/v1/jobs/{opened}").text
    assert bench.job(opened).status is Status.SUCCEEDED, told
    assert hub.looked > 0
    assert hub.shown == []
    assert TOKEN not in told
    assert TOKEN not in everything_stored(bench.context.database)
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]
    assert kept == []
