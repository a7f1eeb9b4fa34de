"""Parameters trained in addition to masks: counted, bounded in its tier, and read back by everything that reads a mask."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from espalier import MaskBank
from pruning.errors import PermanentError
from pruning.evaluation.evaluate import compute_logits
from pruning.export.build import ExportSource, write_export
from pruning.export.huggingface import load_folder, write_folder
from pruning.export.load import load_export
from pruning.formats import trained_weights
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.inference.pruned_model import PrunedModel, load_pruned
from pruning.models.loading import load_model, locate_model
from pruning.sources import Sources
from pruning.training import extra_parameters
from pruning.training.setup import set_up
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import finished, make_sources, of_kind, run_toy, spec_of

EXTRAS: dict[str, Any] = {
    "train_biases": True,
    "train_readout": True,
    "max_steps": 4,
    "validation_rows": 12,
    "weight_learning_rate": 1e-2,
}
TEXTS = [row["sentence"] for row in toy_datasets.opinions(12, 2)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    toy_architectures.make_model(root / "models" / "albert", "albert")
    toy_architectures.make_classifier(root / "models" / "tuned", ["negative", "positive"])
    return sources


@pytest.fixture(scope="module")
def bert(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of a run that trained biases, norms and read-out."""
    work = tmp_path_factory.mktemp("bert")
    run_toy(sources, work, **EXTRAS)
    return work / "artifacts"


def vocabulary_rows(sources: Sources, name: str, pruned: PrunedModel) -> torch.Tensor:
    loaded = load_model(locate_model(name, None, sources), pruned.info.label_words, "label-words")
    rows: torch.Tensor = loaded.model.get_output_embeddings().weight.detach()[list(pruned.info.label_ids)]
    return rows


def test_the_result_counts_them(sources: Sources, bert: Path) -> None:
    result = json.loads((bert / "report.json").read_text())["result"]
    stored = load_file(bert / trained_weights.WEIGHTS)
    assert result["weights_changed"] is True
    assert result["extra_parameters"] == sum(tensor.numel() for tensor in stored.values())
    assert result["extra_share"] == result["extra_parameters"] / result["masked_weights"]
    assert result["weights_bytes"] == (bert / trained_weights.WEIGHTS).stat().st_size
    assert "extra parameters" in (bert / "report.html").read_text()
    before = vocabulary_rows(sources, "bert", load_pruned(bert / "mask.safetensors", sources=sources))
    assert stored["readout.weight"].shape == before.shape
    assert not torch.equal(stored["readout.weight"], before)
    assert stored["readout.bias"].shape == (2,)


def test_a_bank_and_a_mask_alone_give_the_logits_of_training(sources: Sources, bert: Path, tmp_path: Path) -> None:
    run_toy(sources, tmp_path, max_steps=2, validation_rows=12)
    bank = MaskBank("bert", models_dir=sources.models_dir)
    for name, artifacts in (("trained", bert), ("plain", tmp_path / "artifacts")):
        bank.add(name, artifacts / "mask.espalier")
    for name, artifacts in (("trained", bert), ("plain", tmp_path / "artifacts"), ("trained", bert)):
        rows = [json.loads(line)["logits"] for line in (artifacts / "predictions.jsonl").read_text().splitlines()]
        alone = load_pruned(artifacts / "mask.safetensors", sources=sources).logits(TEXTS)
        with bank.using(name) as pruned:
            assert np.array_equal(pruned.logits(TEXTS), alone)
        assert [[float(value) for value in row] for row in alone] == rows


def test_exports_have_the_trained_read_out(sources: Sources, bert: Path, tmp_path: Path) -> None:
    loaded, info = load_masked_base(bert / "mask.safetensors", sources=sources)
    pruned = PrunedModel(create_mask_head(loaded, info), loaded.tokenizer, info)
    expected = pruned.logits(TEXTS)
    (tmp_path / "compact").mkdir()
    write_export(ExportSource(pruned, loaded.decoder_only), "compact", tmp_path / "compact")
    np.testing.assert_allclose(load_export(tmp_path / "compact").logits(TEXTS), expected, rtol=1e-4, atol=1e-5)
    stock = write_folder(bert / "mask.safetensors", tmp_path / "stock", sources=sources)
    assert stock.is_pipeline
    np.testing.assert_allclose(load_folder(tmp_path / "stock", stock).logits(TEXTS), expected, rtol=1e-4, atol=1e-5)


def test_a_stock_language_model_has_it_in_its_output_embedding(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "work", model="albert", **EXTRAS)
    mask = tmp_path / "work" / "artifacts" / "mask.safetensors"
    stock = write_folder(mask, tmp_path / "stock", sources=sources)
    assert stock.reason is not None
    pruned = load_pruned(mask, sources=sources)
    read = load_model(locate_model("stock", None, Sources(tmp_path, None, hub=False)), stock.info.label_words, "label-words")
    rows = read.model.get_output_embeddings().weight[list(stock.info.label_ids)]
    head: Any = pruned.head
    assert torch.equal(rows, head.readout.weight)
    embedded = read.model.get_input_embeddings().weight[list(stock.info.label_ids)]
    assert torch.equal(embedded, vocabulary_rows(sources, "albert", pruned))
    again = load_folder(tmp_path / "stock", stock)
    encoded, cpu = pruned._split(TEXTS, None).encoded, torch.device("cpu")
    assert np.array_equal(compute_logits(again.head, encoded, cpu), compute_logits(pruned.head, encoded, cpu))


def test_the_read_out_of_a_trained_classifier_is_its_last_matrix(sources: Sources) -> None:
    run = set_up(spec_of(model="tuned", head="classifier", train_readout=True), sources, lambda event: None)
    assert run.extras.names == ("classifier.weight", "classifier.bias")
    assert (run.extras.readout, run.extras.count, run.extras.bounded) == (None, 2 * 32 + 2, 2 * 32 + 2)


@pytest.mark.parametrize("damage", ["columns", "classes", "dtype", "bias alone"])
def test_a_read_out_of_another_mask_is_refused(
    sources: Sources, bert: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = load_file(bert / trained_weights.WEIGHTS)
    weight = stored["readout.weight"]
    changed = {"columns": weight[:, :-1], "classes": weight[:1], "dtype": weight.half(), "bias alone": None}[damage]
    del stored["readout.weight"]
    if changed is not None:
        stored["readout.weight"] = changed.contiguous()
    save_file(stored, tmp_path / "weights")
    monkeypatch.setattr("pruning.inference.masked_base.find_trained_weights", lambda *given: tmp_path / "weights")
    with pytest.raises(PermanentError) as caught:
        load_pruned(bert / "mask.safetensors", sources=sources)
    assert (caught.value.code, caught.value.param) == ("weights_invalid", "mask")


def test_the_tier_is_bounded_and_a_new_classifier_is_not(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PermanentError) as caught:
        run_toy(sources, tmp_path / "small", tier="masks+extras", max_steps=2)
    assert (caught.value.code, caught.value.param) == ("tier_exceeded", "tier")
    monkeypatch.setattr(extra_parameters, "MAX_SHARE", 0.06)
    events = run_toy(sources, tmp_path / "wide", tier="masks+extras", head="classifier", max_steps=2, train_rows=16)
    metrics = finished(events)
    assert metrics["extra_share"] > 0.06
    assert any(f"{metrics['extra_parameters']:,} parameters" in event.message for event in of_kind(events, "log"))
    stored = load_file(tmp_path / "wide" / "artifacts" / trained_weights.WEIGHTS)
    assert {"parameter.classifier.weight", "parameter.classifier.bias"} <= stored.keys()
    assert not any(key.startswith("readout.") for key in stored)
