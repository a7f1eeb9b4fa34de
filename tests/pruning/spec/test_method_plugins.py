"""Pruning methods of other packages: an example package is installed, listed, run; broken ones are named and harm nothing else."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from espalier import MaskBank
from pruning.errors import PermanentError
from pruning.events import ErrorEvent, ExitCode
from pruning.export import huggingface_card
from pruning.formats import compact_file
from pruning.formats.convert import convert
from pruning.inference.pruned_model import load_pruned
from pruning.masking.methods import registry
from pruning.spec.method_info import MethodInfo, MethodPlugin
from pruning.spec.method_plugins import GROUP, discover
from pruning.spec.methods import BROKEN, PLUGINS
from pruning.spec.schema import PruningSpec
from tests.pruning import runs

EXAMPLE = runs.ROOT / "tests" / "example_plugin"
INFO = MethodInfo("mine", "An example", "scores", 1e-2, 0.0)
PLUGIN = MethodPlugin(INFO, "package.masks:Mine")
API = """
import json, sys
from pathlib import Path
from fastapi.testclient import TestClient
from api.app import create_app
from service.db import migrate
from service.settings import Settings
folder = Path(sys.argv[1])
migrate.upgrade(f"sqlite:///{folder}/x.db")
settings = Settings(
    data_dir=folder, database_url=f"sqlite:///{folder}/x.db", broker_url="filesystem://", hub_enabled=False
)
with TestClient(create_app(settings), base_url="http://localhost") as client:
    listed = client.get("/v1/methods").json()
    refused = client.post("/v1/jobs", json={"model": "m", "task": "sst2", "method": "broken-one"})
    names = client.get("/openapi.json").json()["components"]["schemas"]["JobRequest"]["properties"]["method"]["enum"]
print(json.dumps({"listed": listed, "refused": refused.json(), "names": names, "torch": "torch" in sys.modules}))
"""

COLUMNS = """
import json, sys
from pathlib import Path
from pruning.formats import mask_file
masks, _ = mask_file.read(Path(sys.argv[1]))
print(json.dumps([(mask.shape[1], mask.all(axis=0).nonzero()[0].tolist()) for mask in masks.values()]))
"""
"""Width of each matrix, and its columns that stay whole."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package as pip installs it, and a second package whose plug-in fails on import."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder / "target"), str(folder / "source")], check=True, capture_output=True)
    broken = folder / "target" / "broken_one-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text(f"[{GROUP}]\nbroken-one = broken_one:PLUGIN\n")
    (folder / "target" / "broken_one.py").write_text("raise RuntimeError('its licence has expired')\n")
    return folder / "target"


def test_the_api_lists_it_without_torch_and_refuses_a_broken_one(target: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(target), str(runs.ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", API, str(tmp_path)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (row,) = [method for method in found["listed"]["data"] if method["name"] == "leading-columns"]
    assert (row["trains"], row["two_four"], row["default"]) == ("nothing", False, False)
    assert "leading-columns" in found["names"]
    assert "broken-one" not in found["names"]
    assert not found["torch"]
    (fault,) = found["refused"]["errors"]
    assert (fault["pointer"], fault["code"]) == ("/method", "method_unavailable")
    assert "its licence has expired" in fault["detail"]
    assert "broken-one" in done.stderr, "the log names it"


def test_a_run_makes_its_masks(target: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = runs.make_sources(tmp_path)
    spec = {"method": "leading-columns", "sparsity": 0.75, "max_steps": None}
    arguments = runs.arguments_of(tmp_path / "work", spec, sources)
    path = os.pathsep.join([str(target), str(runs.ROOT)])
    done = runs.finish(runs.start(arguments, env={"PYTHONPATH": path}))
    assert done.code == 0, done.stderr
    program = [sys.executable, "-c", COLUMNS, str(tmp_path / "work" / "artifacts" / "mask.safetensors")]
    read = subprocess.run(program, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    kept = json.loads(read.stdout)
    assert kept
    assert all(columns == [*range(width // 4)] for width, columns in kept)

    # where the plug-in is not installed, its mask is read and no run can use it
    mask, out = tmp_path / "work" / "artifacts" / "mask.safetensors", tmp_path / "mask.espalier"
    texts = ["a good one", "a bad one"]
    bank = MaskBank("bert", models_dir=sources.models_dir)
    bank.add("theirs", convert(mask, out))
    alone = load_pruned(mask, sources=sources)
    assert compact_file.read_info(out).spec.method == alone.info.spec.method == "leading-columns"
    assert [*bank.predict("theirs", texts)] == [*alone.predict(texts)]
    assert caplog.text.count("leading-columns") == 1, "it is said once"
    weighted = alone.info.model_copy(update={"weights_sha256": "0" * 64})
    assert "leading-columns" in huggingface_card._origin(weighted)

    refused = runs.fork(runs.arguments_of(tmp_path / "again", spec, sources), tmp_path / "logs").finish()
    error = refused.events[-1]
    assert isinstance(error, ErrorEvent)
    assert (refused.code, error.code, error.param) == (ExitCode.PERMANENT, "method_unavailable", "method")
    assert "leading-columns" in error.message


@pytest.mark.parametrize("method", ["not-installed", "broken-one"])
def test_a_record_keeps_the_name_of_a_method_that_is_not_installed(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BROKEN, "broken-one", "its licence has expired")
    stored = PruningSpec(model="m", task="sst2").model_dump(mode="json") | {"method": method, "prior": None, "epochs": None}
    assert PruningSpec.from_record(stored).model_dump(mode="json") == stored
    with pytest.raises(ValidationError):
        PruningSpec.model_validate(stored)
    for fault in ({"method": "No Name"}, {"sparsity": 2}):
        with pytest.raises(ValidationError):
            PruningSpec.from_record(stored | fault)


def entry(name: str, value: str, monkeypatch: pytest.MonkeyPatch, plugin: object = PLUGIN) -> EntryPoint:
    monkeypatch.setattr(sys.modules[__name__], "FOUND", plugin, raising=False)
    monkeypatch.setitem(sys.modules, "plugin_for_this_test", sys.modules[__name__])
    return EntryPoint(name, value, GROUP)


def test_a_good_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover((), [entry("mine", "plugin_for_this_test:FOUND", monkeypatch)])
    assert (found.plugins, found.broken) == ({"mine": PLUGIN}, {})


UNKNOWN: Any = "guessed"


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (INFO, "not to a MethodPlugin"),
        (replace(PLUGIN, info=replace(INFO, name="other")), "one name"),
        (replace(PLUGIN, info=replace(INFO, learning_rate=float("nan"))), "learning_rate"),
        (replace(PLUGIN, info=replace(INFO, regularization=-1.0)), "regularization"),
        (replace(PLUGIN, info=replace(INFO, trains=UNKNOWN)), "trains"),
        (replace(PLUGIN, info=replace(INFO, summary="")), "summary"),
        (replace(PLUGIN, info=replace(INFO, sparsity=UNKNOWN)), "sparsity"),
        (replace(PLUGIN, implementation="package.masks"), "package.module:Class"),
    ],
)
def test_a_fault_of_its_metadata_is_named(plugin: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover((), [entry("mine", "plugin_for_this_test:FOUND", monkeypatch, plugin)])
    assert not found.plugins
    assert words in found.broken["mine"]


def test_names_are_those_of_one_package_and_never_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    good = entry("mine", "plugin_for_this_test:FOUND", monkeypatch)
    absent = EntryPoint("absent", "no_such_module:FOUND", GROUP)
    found = discover({"smp-s"}, [good, good, absent, EntryPoint("smp-s", "plugin_for_this_test:FOUND", GROUP)])
    assert found.plugins.keys() == {"mine"}
    assert found.broken.keys() == {"absent"}


@pytest.mark.parametrize("target", ["no_such_module:Mine", "json:JSONDecodeError", "types:SimpleNamespace"])
def test_a_class_that_cannot_be_used_ends_the_run_with_a_code(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec: Any = PruningSpec(model="m", task="sst2").model_copy(update={"method": "mine"})
    monkeypatch.setitem(PLUGINS, "mine", replace(PLUGIN, implementation=target))
    with pytest.raises(PermanentError, match=target) as refused:
        registry.create_method(spec)
    assert refused.value.code == "method_unavailable"
