"""Runs whose classes have several words, some of them in pieces: every reader of a mask has the logits of training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from espalier import MaskBank
from pruning.errors import PermanentError
from pruning.export import sequence_classifier
from pruning.export.build import ExportSource, write_export
from pruning.export.huggingface import load_folder, write_folder
from pruning.export.load import load_export
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.inference.pruned_model import PrunedModel, load_pruned
from pruning.sources import Sources
from pruning.spec.export_formats import Format
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import make_sources, run_toy

WORDS: dict[str, Any] = {
    "label_words": [["terrible", "dully"], ["great", "filmy", "lovely"]],  # dull ##y, film ##y
    "label_word_pieces": "mean",
    "max_steps": 3,
    "validation_rows": 12,
}
PLAIN: dict[str, Any] = {"max_steps": 2, "validation_rows": 12}
RUNS: dict[str, dict[str, Any]] = {
    "words": WORDS,
    "read-out": WORDS | {"train_readout": True, "weight_learning_rate": 1e-2},
    "template": WORDS | {"template": "{text} it was {mask}"},
    "no calibration": WORDS | {"calibrate_logits": False, "baseline": True},
}
TEXTS = [row["sentence"] for row in toy_datasets.opinions(12, 2)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    toy_architectures.make_model(root / "models" / "albert", "albert")
    return sources


@pytest.fixture(scope="module", params=RUNS)
def artifacts(request: pytest.FixtureRequest, sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    run_toy(sources, work, **RUNS[request.param])
    return work / "artifacts"


def trained_logits(artifacts: Path) -> Any:
    """Of the validation rows, as the run wrote them."""
    return np.array([json.loads(line)["logits"] for line in (artifacts / "predictions.jsonl").read_text().splitlines()], np.float32)


def test_both_forms_of_a_mask_and_a_bank_give_the_logits_of_training(sources: Sources, artifacts: Path, tmp_path: Path) -> None:
    expected = trained_logits(artifacts)
    assert np.ptp(expected) > 0
    for name in ("mask.safetensors", "mask.espalier"):
        pruned = load_pruned(artifacts / name, sources=sources)
        assert np.array_equal(pruned.logits(TEXTS), expected)
        assert pruned.info.label_words == (("terrible", "dully"), ("great", "filmy", "lovely"))
        assert pruned.labels == ("negative", "positive")
    run_toy(sources, tmp_path, **PLAIN)
    bank = MaskBank("bert", models_dir=sources.models_dir)
    bank.add("plain", tmp_path / "artifacts" / "mask.safetensors")
    bank.add("several", artifacts / "mask.safetensors")
    for _ in range(2):
        with bank.using("several") as pruned:
            assert np.array_equal(pruned.logits(TEXTS), expected)
        with bank.using("plain") as pruned:
            assert np.array_equal(pruned.logits(TEXTS), trained_logits(tmp_path / "artifacts"))


@pytest.fixture(scope="module")
def sparse(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of a run at a sparsity that the export ``csr`` takes."""
    work = tmp_path_factory.mktemp("sparse")
    run_toy(sources, work, **WORDS, sparsity=0.95)
    return work / "artifacts"


@pytest.mark.parametrize("form", ["compact", "csr", "onnx"])
def test_exports_give_them_too(sources: Sources, sparse: Path, tmp_path: Path, form: Format) -> None:
    loaded, info = load_masked_base(sparse / "mask.safetensors", sources=sources)
    pruned = PrunedModel(create_mask_head(loaded, info), loaded.tokenizer, info)
    write_export(ExportSource(pruned, loaded.decoder_only), form, tmp_path)
    np.testing.assert_allclose(load_export(tmp_path).logits(TEXTS), trained_logits(sparse), rtol=1e-4, atol=1e-5)


def test_a_stock_classifier_has_one_row_for_each_class(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "work", **RUNS["read-out"])
    artifacts = tmp_path / "work" / "artifacts"
    stock = write_folder(artifacts / "mask.safetensors", tmp_path / "stock", sources=sources)
    assert (stock.is_pipeline, stock.averaged) == (True, False)
    expected = trained_logits(artifacts)
    np.testing.assert_allclose(load_folder(tmp_path / "stock", stock).logits(TEXTS), expected, rtol=1e-4, atol=1e-5)
    said: Any = pipeline("text-classification", model=str(tmp_path / "stock"))(TEXTS, top_k=None)
    shares = torch.softmax(torch.from_numpy(expected), 1)
    for row, share in zip(said, shares.tolist(), strict=True):
        assert {each["label"]: each["score"] for each in row} == pytest.approx(
            dict(zip(("negative", "positive"), share, strict=True)), abs=1e-5
        )


@pytest.mark.parametrize("readout", [False, True], ids=["vocabulary", "trained"])
def test_a_stock_language_model_has_the_mean_in_the_row_of_one_token(sources: Sources, tmp_path: Path, readout: bool) -> None:
    run_toy(sources, tmp_path / "work", **WORDS, model="albert", train_readout=readout)
    mask = tmp_path / "work" / "artifacts" / "mask.safetensors"
    stock = write_folder(mask, tmp_path / "stock", sources=sources)
    assert stock.averaged
    assert all(isinstance(row, int) for row in stock.info.label_ids)
    assert len(set(stock.info.label_ids)) == 2
    expected = trained_logits(tmp_path / "work" / "artifacts")
    np.testing.assert_array_equal(load_folder(tmp_path / "stock", stock).logits(TEXTS), expected)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "stock")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "stock")
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS[0], return_tensors="pt", truncation=True)).logits[0, 0]
    scaled = stock.info.logit_scale * logits[list(stock.info.label_ids)] + torch.tensor(stock.info.logit_offsets)
    np.testing.assert_allclose(scaled.numpy(), expected[0], rtol=1e-4, atol=1e-5)


def test_classes_that_share_pieces_have_a_row_each() -> None:
    """Of the last one every token is taken: it has the first that no class has."""
    assert sequence_classifier._row_of_each((((7, 8),), ((8, 7, 8),), (8, (7, 0)), (7, 8))) == (7, 8, 0, 1)


def test_pieces_are_refused_by_the_trainer_where_the_spec_does_not_allow_them(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        run_toy(sources, tmp_path, **{**WORDS, "label_word_pieces": "refuse"})
    assert (caught.value.code, caught.value.param) == ("label_word_unknown", "label_words.0.1")


def test_one_word_per_class_gives_the_mask_file_that_it_gave(sources: Sources, tmp_path: Path) -> None:
    """Also where pieces are allowed and none are needed; the header alone says so."""
    run_toy(sources, tmp_path / "a", **PLAIN)
    run_toy(sources, tmp_path / "b", **PLAIN, label_words=[["terrible"], "great"])
    run_toy(sources, tmp_path / "c", **PLAIN, label_word_pieces="mean")
    one, same, allowed = ((tmp_path / name / "artifacts" / "mask.safetensors").read_bytes() for name in "abc")
    assert one == same
    assert b"label_word_pieces" not in one
    assert b"label_word_pieces" in allowed
    assert np.array_equal(trained_logits(tmp_path / "a" / "artifacts"), trained_logits(tmp_path / "c" / "artifacts"))
