"""Runs whose classifier reads the mean over the tokens: masks, banks and exports predict as the run did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pruning.errors import PermanentError
from pruning.export.load import load_export
from pruning.export.run import run_exports
from pruning.formats import compact_file, mask_file
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from pruning.spec.export_formats import Format
from tests import toy_architectures
from tests.pruning.runs import make_sources, of_kind, run_toy
from tests.toy_datasets import opinions, read_lines

SHAPES = ("bert", "roberta", "mpnet", "modernbert")
WITH_ONNX = ("modernbert",)
"""The head is the same module for all, and the exporter takes seconds."""
TEXTS = [row["sentence"] for row in opinions(6, 5)]
RUN: dict[str, Any] = {"head": "classifier", "pooling": "mean", "max_steps": 4, "dropout": 0.1}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    made = make_sources(root)
    for shape in ("mpnet", "modernbert", "gpt2"):
        toy_architectures.make_model(root / "models" / shape, shape)
    return made


@pytest.fixture(scope="module")
def masks(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each shape, and of BERT with the first token (``first``)."""
    work = tmp_path_factory.mktemp("runs")
    runs: dict[str, dict[str, Any]] = {**{shape: {"model": shape} for shape in SHAPES}, "first": {"pooling": None}}
    for name, fields in runs.items():
        run_toy(sources, work / name, **{**RUN, "fit_readout": name != "roberta", **fields})
    return {name: work / name / "artifacts" / "mask.safetensors" for name in runs}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mask_predicts_as_the_run_did(sources: Sources, masks: dict[str, Path], shape: str) -> None:
    pruned = load_pruned(masks[shape], sources=sources)
    assert pruned.info.pooling == pruned.info.spec.pooling == "mean"
    assert evaluate_mask(pruned, sources) == pruned.info.metrics
    written = read_lines(masks[shape].parent / "predictions.jsonl")
    rows = read_lines(sources.datasets_dir / "sst2" / "validation.jsonl")[: len(written)]  # type: ignore[operator]
    found = pruned.logits([row["sentence"] for row in rows])
    assert found == pytest.approx(np.array([row["logits"] for row in written]), abs=1e-5)


def test_both_forms_of_a_mask_say_what_is_read(masks: dict[str, Path]) -> None:
    compact = masks["bert"].parent / "mask.espalier"
    assert compact_file.read_info(compact).pooling == mask_file.read_info(masks["bert"]).pooling == "mean"
    assert mask_file.read_info(masks["first"]).pooling is None


def test_a_bank_changes_from_one_pooling_to_the_other(sources: Sources, masks: dict[str, Path]) -> None:
    assert sources.models_dir is not None
    bank = MaskBank(sources.models_dir / "bert")
    alone = {name: load_pruned(masks[name], sources=sources).logits(TEXTS) for name in ("bert", "first")}
    for name in alone:
        bank.add(name, masks[name])
    for name in ("bert", "first", "bert", "first"):
        with bank.using(name) as pruned:
            assert (pruned.logits(TEXTS) == alone[name]).all()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("shape", SHAPES)
def test_exports_compute_the_mean_or_are_refused(sources: Sources, masks: dict[str, Path], tmp_path: Path, shape: str) -> None:
    more: dict[str, tuple[Format, ...]] = {"bert": ("compact", "csr"), "roberta": ("compact",)}
    formats: tuple[Format, ...] = ("stock", *(("onnx",) if shape in WITH_ONNX else ()), *more.get(shape, ()))
    entries = {entry.format: entry for entry in run_exports(masks[shape], formats, tmp_path, sources=sources)}
    stock = entries.pop("stock")
    dense = load_pruned(masks[shape], sources=sources).logits(TEXTS)
    for name, entry in entries.items():
        assert entry.error is None or entry.error.code == "export_pointless", (name, entry.error)
        if entry.error is None:
            assert load_export(tmp_path / name).logits(TEXTS) == pytest.approx(dense, abs=1e-4)
    assert shape not in WITH_ONNX or entries["onnx"].error is None
    if shape != "modernbert":
        assert stock.error is not None
        assert stock.error.code == "export_unsupported"
        return
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "stock")
    tokens = AutoTokenizer.from_pretrained(tmp_path / "stock")(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        assert model(**tokens).logits.numpy() == pytest.approx(dense, abs=1e-4)


def test_a_stock_export_that_cannot_be_is_refused_before_training(sources: Sources, tmp_path: Path) -> None:
    from pruning.training.train import train
    from tests.pruning.runs import spec_of

    events: list[Any] = []
    with pytest.raises(PermanentError) as caught:
        train(spec_of(**RUN), tmp_path, sources, events.append, exports=["onnx", "stock"])
    assert (caught.value.code, caught.value.param) == ("export_unsupported", "exports.1")
    assert of_kind(events, "started") == []


def test_a_decoder_has_no_pooling(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        run_toy(sources, tmp_path, **RUN, model="gpt2")
    assert (caught.value.code, caught.value.param) == ("pooling_unsupported", "pooling")


def test_the_declared_pooling_of_a_folder_is_logged_and_not_applied(sources: Sources, tmp_path: Path) -> None:
    assert sources.models_dir is not None
    folder = toy_architectures.make_model(tmp_path / "models" / "sentences", "mpnet")
    (folder / "modules.json").write_text(json.dumps([{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    given = Sources(tmp_path / "models", sources.datasets_dir, hub=False)
    for pooling in (None, "first", "mean"):
        events = run_toy(given, tmp_path / str(pooling), **{**RUN, "pooling": pooling, "max_steps": 2, "model": "sentences"})
        said = any("set pooling to mean" in event.message for event in of_kind(events, "log"))
        assert said is (pooling is None)
        assert mask_file.read_info(tmp_path / str(pooling) / "artifacts" / "mask.safetensors").pooling == pooling
