"""A mask written as a stock folder is loaded by plain transformers and gives the very logits of training."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from pruning.errors import PermanentError
from pruning.export.huggingface import write_folder
from pruning.formats import mask_file
from pruning.sources import Sources
from tests.processes import ROOT
from tests.pruning.runs import make_sources, run_toy


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def sentences(sources: Sources) -> list[str]:
    assert sources.datasets_dir is not None
    lines = (sources.datasets_dir / "sst2" / "validation.jsonl").read_text().splitlines()
    return [json.loads(line)["sentence"] for line in lines]


def trained_logits(artifacts: Path) -> np.ndarray:
    rows = [json.loads(line) for line in (artifacts / "predictions.jsonl").read_text().splitlines()]
    return np.array([row["logits"] for row in rows], dtype=np.float32)


@pytest.mark.parametrize(
    "fields",
    [{}, {"model": "roberta"}, {"method": "movement"}, {"train_biases": True}, {"head": "classifier"}],
    ids=["smp-s", "roberta", "movement", "biases", "classifier"],
)
def test_plain_transformers_gives_the_logits_of_training(
    sources: Sources, tmp_path: Path, fields: dict[str, Any]
) -> None:
    run_toy(sources, tmp_path / "work", **fields)
    artifacts = tmp_path / "work" / "artifacts"
    info = mask_file.read_info(artifacts / "mask.safetensors")
    folder = write_folder(artifacts / "mask.safetensors", tmp_path / "stock", sources=sources)
    kind = AutoModelForSequenceClassification if info.head == "classifier" else AutoModelForMaskedLM
    model = kind.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = trained_logits(artifacts)
    texts = sentences(sources)[: len(expected)]
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    got = logits[:, list(info.columns)] if info.head == "classifier" else logits[:, 0, list(info.label_ids)]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)  # other batches, so not to the last bit
    card = (folder / "README.md").read_text(encoding="utf-8")
    front = json.loads(card.split("---")[1])
    assert front["base_model"] == info.base_model
    assert f"{info.density:.2%}" in card
    assert ("No weight was changed" in card) == (info.weights_sha256 is None)


def test_a_folder_that_exists_is_left_alone_and_a_wrong_base_writes_nothing(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "work")
    mask = tmp_path / "work" / "artifacts" / "mask.safetensors"
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError):
        write_folder(mask, tmp_path / "there", sources=sources)
    assert sources.models_dir is not None
    with pytest.raises(PermanentError) as refused:
        write_folder(mask, tmp_path / "new", model=sources.models_dir / "roberta")
    assert refused.value.code == "base_mismatch"
    assert not (tmp_path / "new").exists()


def test_the_command_line_writes_it_from_either_form_of_a_mask(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "work")
    mask = tmp_path / "work" / "artifacts" / "mask.espalier"
    command = [sys.executable, "-m", "espalier.cli", "apply", str(mask), "-o", str(tmp_path / "stock"), "--json"]
    command += ["--models-dir", str(sources.models_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bytes"] == sum(file.stat().st_size for file in (tmp_path / "stock").iterdir())
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 2
    assert "exists already" in again.stderr
