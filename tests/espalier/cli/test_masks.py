"""``espalier apply``: the folder, what is said of it, and targets that are refused before anything is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import toy_models
from tests.processes import ROOT
from tests.pruning.export.factories import make_mask

LOADS_NOTHING = """
import sys
from espalier.cli.main import app
try:
    app(sys.argv[1:])
finally:
    assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    toy_models.make_model(folder / "models" / "bert")
    return make_mask(folder / "mask.safetensors", folder / "models" / "bert")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_folder_and_its_summary(mask: Path, tmp_path: Path) -> None:
    target = tmp_path / "stock"
    models = str(mask.parent / "models")
    done = run("-m", "espalier.cli", "apply", str(mask), "-o", str(target), "--models-dir", models, "--json")
    assert done.returncode == 0, done.stderr
    size = sum(file.stat().st_size for file in target.iterdir())
    assert json.loads(done.stdout) == {
        "folder": str(target),
        "bytes": size,
        "class": "BertForSequenceClassification",
        "pipeline": True,
        "reason": None,
    }
    assert done.stderr == (f"written: {target} ({size} bytes, dense: zeros are stored too), BertForSequenceClassification\n")


@pytest.mark.parametrize("command", [("apply",), ("export", "--to", "stock", "--to", "compact")])
@pytest.mark.parametrize(
    ("target", "words"),
    [("full", "exists already and is not empty"), ("file", "file is not a folder"), ("/proc/none", "No such file or directory")],
)
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_loaded(
    mask: Path, tmp_path: Path, command: tuple[str, ...], target: str, words: str
) -> None:
    (tmp_path / "full" / "stock").mkdir(parents=True)
    (tmp_path / "full" / "stock" / "mine").touch()
    (tmp_path / "file").touch()
    name = tmp_path / target / ("stock" if command[0] == "apply" else "")
    done = run("-c", LOADS_NOTHING, *command, str(mask), "-o", str(name))
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"espalier: --output {tmp_path / target / 'stock'}: {words}; name a folder that does not exist or is empty, "
        "where you may write\n"
    )
