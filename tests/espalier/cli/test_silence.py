"""Output of the commands and functions on masks: their own lines alone, of a real process, on both streams.

Libraries write progress bars and load reports to standard error, and keep what they found there when they were imported.
"""

import os
import subprocess
import sys

import pytest

from tests import toy_architectures, toy_models
from tests.processes import ROOT
from tests.pruning.export.factories import make_mask

PROGRAM = """
import sys
from pathlib import Path

from espalier import MaskBank, load_export, load_pruned
from espalier.cli.main import app


def section(name):
    for stream in (sys.stdout, sys.stderr):
        print(f"# {name}", file=stream, flush=True)


def command(*arguments):
    section(arguments[0])
    app([*arguments, "--models-dir", "models"], standalone_mode=False)


section("load_pruned")
from transformers.utils import logging
before = logging.get_verbosity(), logging.is_progress_bar_enabled()
pruned = load_pruned("mask.safetensors", models_dir="models")
pruned.predictions(["the film " * 90])
span = load_pruned("span.safetensors", models_dir="models")
span.predict(["who?"], ["the film " * 90])
assert before == (logging.get_verbosity(), logging.is_progress_bar_enabled()), "settings of the user's process"
section("MaskBank")
bank = MaskBank("bert", models_dir="models")
bank.add("one", "mask.safetensors")
bank.predict("one", ["a film"])
command("apply", "mask.safetensors", "-o", "applied")
command("apply", "albert.safetensors", "-o", "other")
command("export", "mask.safetensors", "--to", "compact", "--to", "onnx-int8", "--to", "stock", "-o", "made")
section("load_export")
load_export("made/compact").predict(["a film"])
load_export("made/onnx-int8").predict(["a film"])
command("predict", "mask.safetensors", "a film")
section("end")
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Lines of standard output and standard error by command."""
    folder = tmp_path_factory.mktemp("masks")
    bert = toy_models.make_model(folder / "models" / "bert")
    albert = toy_architectures.make_model(folder / "models" / "albert", "albert")
    make_mask(folder / "mask.safetensors", bert)
    make_mask(folder / "span.safetensors", bert, task="squad", stride=8)
    make_mask(folder / "albert.safetensors", albert)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sections(done.stdout), sections(done.stderr)


def sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in text.split("# ")[1:]:
        name, *lines = part.splitlines()
        found.setdefault(name, []).extend(lines)
    return found


def test_nothing_but_our_own_lines(outputs: tuple[dict[str, list[str]], dict[str, list[str]]]) -> None:
    out, err = outputs
    assert {name: lines for name, lines in out.items() if lines} == {"predict": out["predict"]}
    assert len(out["predict"]) == 1
    assert all(not err[name] for name in ("load_pruned", "MaskBank", "load_export", "predict", "end")), err
    made, albert, reason = err["apply"]
    assert made.startswith("written: applied (")
    assert made.endswith("BertForSequenceClassification")
    assert albert.endswith("AlbertForMaskedLM")
    assert reason.startswith("not for pipelines: AlbertForMaskedLM uses one layer's weights for all")
    assert [line.split(" (")[0] for line in err["export"]] == ["compact", "onnx-int8", "stock"]
