"""A trained mask written as a stock folder is loaded by plain transformers and gives the logits of training."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pruning.errors import PermanentError, TemporaryError
from pruning.export.huggingface import write_folder
from pruning.formats import mask_file
from pruning.sources import Sources
from tests.pruning.export.factories import make_mask
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
def test_plain_transformers_gives_the_logits_of_training(sources: Sources, tmp_path: Path, fields: dict[str, Any]) -> None:
    run_toy(sources, tmp_path / "work", **fields)
    artifacts = tmp_path / "work" / "artifacts"
    info = mask_file.read_info(artifacts / "mask.safetensors")
    write_folder(artifacts / "mask.safetensors", tmp_path / "stock", sources=sources)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "stock").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "stock")
    expected = trained_logits(artifacts)
    texts = sentences(sources)[: len(expected)]
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-4, atol=1e-5)  # other batches, so not to the last bit
    assert model.config.id2label == {0: "negative", 1: "positive"}
    card = (tmp_path / "stock" / "README.md").read_text(encoding="utf-8")
    assert f"{info.density:.2%}" in card
    assert ("No weight was changed" in card) == (info.weights_sha256 is None)
    assert str(tmp_path) not in "".join(file.read_text("utf-8") for file in (tmp_path / "stock").glob("*.[jm]*[nd]"))


def test_a_folder_with_files_is_left_alone_and_a_wrong_base_writes_nothing(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "work")
    mask = tmp_path / "work" / "artifacts" / "mask.safetensors"
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("kept")
    with pytest.raises(FileExistsError):
        write_folder(mask, tmp_path / "there", sources=sources)
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["mine"]
    assert sources.models_dir is not None
    (tmp_path / "empty").mkdir()
    for target in ("new", "empty"):
        with pytest.raises(PermanentError) as refused:
            write_folder(mask, tmp_path / target, model=sources.models_dir / "roberta")
        assert refused.value.code == "base_mismatch"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "there", "work"]
    write_folder(mask, tmp_path / "empty", sources=sources)
    assert (tmp_path / "empty" / "config.json").is_file()


def test_a_disk_without_room_is_refused_before_the_base_is_searched(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources.models_dir is not None
    mask = make_mask(tmp_path / "mask.safetensors", sources.models_dir / "bert")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(TemporaryError, match=r"\b1000\b") as caught:
        write_folder(mask, tmp_path / "stock", sources=Sources(None, None, hub=False))
    assert caught.value.code == "insufficient_storage"
    assert not (tmp_path / "stock").exists()
