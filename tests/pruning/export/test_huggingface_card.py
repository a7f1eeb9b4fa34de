"""The model card of a stock folder: what the hub reads in it, and its code, run as it stands."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from pruning.export.huggingface import write_folder
from pruning.inference.pruned_model import load_pruned
from tests import toy_architectures, toy_models
from tests.pruning.export.factories import make_mask
from tests.pruning.runs import run_in_fork

GLUE = {"task": "sst2"}
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def make_folder(tmp_path: Path, shape: str = "bert", **fields: Any) -> tuple[Path, Path, Path]:
    """A stock folder, the mask and the base it was made of."""
    base = tmp_path / "models" / shape
    if not base.exists():
        toy_models.make_model(base, shape)
    mask = make_mask(tmp_path / "mask.safetensors", base, **(fields or GLUE))
    write_folder(mask, tmp_path / "sst2-pruned", model=base)
    return tmp_path / "sst2-pruned", mask, base


def code_of(folder: Path) -> str:
    """The code of the card."""
    (code,) = CODE.findall((folder / "README.md").read_text("utf-8"))
    return str(code)


def run_code(folder: Path) -> str:
    """What the code prints, in a process that has torch and transformers loaded (one that does not takes five seconds to start)."""
    return run_in_fork(code_of(folder), folder.parent)


def run_code_alone(folder: Path) -> str:
    """What the code prints, pasted where the folder lies."""
    code = code_of(folder)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_runs_as_it_stands(tmp_path: Path) -> None:
    folder, mask, base = make_folder(tmp_path)
    (expected,) = load_pruned(mask, model=base).predictions(["a film to remember"])
    rows = ast.literal_eval(run_code_alone(folder))
    assert next(iter(rows))["label"] == expected.label
    assert expected.probabilities is not None
    assert {each["label"]: each["score"] for each in rows} == pytest.approx(expected.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    "fields", [{"task": "rte"}, {"task": "stsb"}, {"task": "squad", "stride": 8}], ids=["pair", "regression", "span"]
)
def test_the_code_of_other_tasks_runs_too(tmp_path: Path, fields: dict[str, Any]) -> None:
    folder, *_ = make_folder(tmp_path, **fields)
    assert run_code(folder).strip()


@pytest.mark.parametrize("fields", [GLUE, {"task": "squad", "stride": 8}], ids=["words", "span"])
def test_the_code_of_a_language_model_runs_too(tmp_path: Path, fields: dict[str, Any]) -> None:
    toy_architectures.make_model(tmp_path / "models" / "albert", "albert")
    folder, mask, base = make_folder(tmp_path, "albert", **fields)
    printed = ast.literal_eval(run_code(folder))
    if fields is GLUE:
        (expected,) = load_pruned(mask, model=base).logits(["a film to remember"])
        assert list(printed.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    else:
        assert list(printed) == ["start", "end"]


def test_what_the_hub_reads(tmp_path: Path) -> None:
    base = toy_models.make_model(tmp_path / "models" / "bert", "bert")
    (base / "README.md").write_text("---\nlicense: apache-2.0\nbase_model: google-bert/bert-base-cased\n---\n# A toy\n")
    folder, *_ = make_folder(tmp_path)
    card = ModelCard.load(folder / "README.md")
    assert card.text.startswith("\n# bert pruned for sst2\n")
    data = card.data.to_dict()
    assert (data["license"], data["base_model"]) == ("apache-2.0", "google-bert/bert-base-cased")
    assert (data["pipeline_tag"], data["library_name"]) == ("text-classification", "transformers")
    (index,) = data["model-index"]
    assert index["name"] == "bert pruned for sst2"
    (result,) = index["results"]
    assert result["task"] == {"type": "text-classification"}
    assert result["dataset"] == {"name": "sst2", "type": "nyu-mll/glue", "config": "sst2", "split": "validation"}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.5, "name": "accuracy"}]


def test_metrics_of_a_second_split_name_that_split(tmp_path: Path) -> None:
    folder, *_ = make_folder(tmp_path, task="mnli", metrics={"accuracy": 0.8, "accuracy_mismatched": 0.7})
    results = ModelCard.load(folder / "README.md").data.to_dict()["model-index"][0]["results"]
    found = {each["dataset"]["split"]: each["metrics"][0]["value"] for each in results}
    assert found == {"validation_matched": 0.8, "validation_mismatched": 0.7}


@pytest.mark.parametrize(
    ("card", "config"),
    [
        (None, "/home/me/models/bert"),
        ("no front matter", "../bert"),
        ("---\nlicense: [\n---\n", None),
        ("---\nlicense: {a: 1}\nbase_model: [1, 2]\n---\n", "bert"),
    ],
)
def test_a_card_that_says_nothing_and_paths_leave_no_trace(tmp_path: Path, card: str | None, config: str | None) -> None:
    base = toy_models.make_model(tmp_path / "models" / "bert", "bert")
    if card is not None:
        (base / "README.md").write_text(card)
    about = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps({**about, "_name_or_path": config}))
    folder, *_ = make_folder(tmp_path)
    data = ModelCard.load(folder / "README.md").data.to_dict()
    assert not {"license", "base_model"} & data.keys()
    for file in folder.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
        assert b"/home/me" not in file.read_bytes()


def test_sparsities_of_single_matrices_are_shown_next_to_the_overall_one(tmp_path: Path) -> None:
    folder, _, _ = make_folder(tmp_path, task="sst2", sparsity=0.4, sparsity_by={"*.attention.*": 0.8, "layer.0.*": 0})
    assert "sparsity asked 0.4 over all, and 0.8 of `*.attention.*`, 0 of `layer.0.*`; made" in (folder / "README.md").read_text(
        "utf-8"
    )
