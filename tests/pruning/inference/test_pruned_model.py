"""A mask on its base model predicts what the trainer's final evaluation saw, to the last bit, and fits no other model."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM

from pruning.errors import PermanentError
from pruning.formats import mask_file
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import PrunedModel, class_predictions, load_pruned
from pruning.masking.wrap import prunable_linears
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.pruning.runs import make_sources, run_toy


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module", params=toy_models.SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def artifacts(sources: Sources, shape: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with a batch size and rows that do not divide evenly."""
    work = tmp_path_factory.mktemp(f"work-{shape}")
    run_toy(sources, work, model=shape, validation_rows=45, sparsity=0.7)
    return work / "artifacts"


@pytest.fixture(scope="module")
def mask(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("bert")
    run_toy(sources, work)
    return work / "artifacts" / "mask.safetensors"


def predictions_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def refusal(mask: Path, model: Path) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        load_pruned(mask, model=model)
    return caught.value


def base(sources: Sources, name: str = "bert") -> Path:
    assert sources.models_dir is not None
    return sources.models_dir / name


def test_logits_equal_those_of_the_final_evaluation_to_the_last_bit(sources: Sources, shape: str, artifacts: Path) -> None:
    pruned = load_pruned(artifacts / "mask.safetensors", model=base(sources, shape))
    rows = predictions_in(artifacts)
    texts = [row["sentence"] for row in toy_datasets.opinions(45, 2)]
    logits = pruned.logits(texts)
    assert logits.dtype == np.float32
    assert [[float(value) for value in row] for row in logits] == [row["logits"] for row in rows]
    assert pruned.predict(texts) == [row["prediction"] for row in rows]


def test_the_compact_form_gives_the_same_model(sources: Sources, shape: str, artifacts: Path, tmp_path: Path) -> None:
    misnamed = tmp_path / "mask.safetensors"  # what a file is shows in it, not in its name
    misnamed.write_bytes((artifacts / "mask.espalier").read_bytes())
    plain, compact = (load_pruned(path, model=base(sources, shape)) for path in (artifacts / misnamed.name, misnamed))
    texts = [row["sentence"] for row in toy_datasets.opinions(8, 2)]
    assert np.array_equal(plain.logits(texts), compact.logits(texts))
    assert plain.info == compact.info


def test_metrics_equal_those_of_the_final_evaluation(sources: Sources, shape: str, artifacts: Path) -> None:
    pruned = load_pruned(artifacts / "mask.safetensors", sources=sources)
    assert evaluate_mask(pruned, sources) == pruned.info.metrics
    hits = [row["label"] == row["prediction"] for row in predictions_in(artifacts)]
    assert pruned.info.metrics == {"accuracy": sum(hits) / len(hits)}


def test_weights_outside_the_mask_are_zero_and_all_others_those_of_the_base(sources: Sources, shape: str, artifacts: Path) -> None:
    pruned = load_pruned(artifacts / "mask.safetensors", model=base(sources, shape))
    masks, _ = mask_file.read(artifacts / "mask.safetensors")
    stock = prunable_linears(AutoModelForMaskedLM.from_pretrained(base(sources, shape), dtype=torch.float32))
    model: Any = pruned.head.model
    for path, linear in prunable_linears(model).items():
        assert torch.equal(linear.weight, stock[path].weight * torch.from_numpy(masks[path]))


def test_pairs_are_read_in_their_order(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path, task="stsb")
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    rows = toy_datasets.ratings(32, 2)
    firsts, seconds = ([row[name] for row in rows] for name in ("sentence1", "sentence2"))
    expected = predictions_in(tmp_path / "artifacts")
    got = pruned.predict(firsts, seconds)
    assert got == [row["prediction"] for row in expected]
    assert all(isinstance(number, float) for number in got)
    assert pruned.predict(seconds, firsts) != got
    assert evaluate_mask(pruned, sources) == pruned.info.metrics


def test_texts_that_do_not_fit_the_task_are_refused(sources: Sources, mask: Path) -> None:
    pruned = load_pruned(mask, sources=sources)
    with pytest.raises(ValueError, match="1 text"):
        pruned.predict(["a"], ["b"])
    with pytest.raises(ValueError, match="text"):
        pruned.predict(["a", "b"], ["c"])


def test_one_string_is_one_text(sources: Sources, mask: Path) -> None:
    pruned = load_pruned(mask, sources=sources)
    bank = MaskBank(str(pruned.info.base_model), sources=sources)
    bank.add("mask", mask)
    assert pruned.predict("a fine film") == pruned.predict(["a fine film"]) == bank.predict("mask", "a fine film")
    assert pruned.predictions("a film") == pruned.predictions(("a film",)) == bank.predictions("mask", "a film")
    assert pruned.logits("a film").shape == (1, 2)
    several: list[Any] = [b"a film", 7, None, [b"a"], [7], {"a": 1}, [("a", "b")]]
    for wrong in several:
        for call in (pruned.predict, pruned.predictions, pruned.logits, lambda given: bank.predict("mask", given)):
            with pytest.raises(TypeError, match=r"\bstr\b"):
                call(wrong)


def test_no_text_gives_no_prediction(sources: Sources, mask: Path) -> None:
    assert load_pruned(mask, sources=sources).predict([]) == []


def test_a_loaded_mask_knows_its_labels(sources: Sources, mask: Path) -> None:
    pruned = load_pruned(mask, sources=sources)
    assert isinstance(pruned, PrunedModel)
    assert pruned.labels == ("negative", "positive")
    assert pruned.info.label_words == ("terrible", "great")


@pytest.mark.parametrize(
    "tensor",
    [
        "bert.encoder.layer.1.output.dense.weight",
        "bert.embeddings.word_embeddings.weight",
        "bert.encoder.layer.0.output.LayerNorm.bias",
        "cls.predictions.bias",
    ],
)
def test_one_changed_weight_anywhere_is_another_base(sources: Sources, mask: Path, tmp_path: Path, tensor: str) -> None:
    shutil.copytree(base(sources), tmp_path / "bert")
    weights = load_file(tmp_path / "bert" / "model.safetensors")
    flat = weights[tensor].view(-1)
    flat[0] = torch.nextafter(flat[0], torch.tensor(9.0))
    save_file(weights, tmp_path / "bert" / "model.safetensors", metadata={"format": "pt"})
    found = refusal(mask, tmp_path / "bert")
    assert (found.code, found.param) == ("base_mismatch", "model")
    assert "bert" in found.message


def test_the_same_weights_in_another_folder_are_the_same_base(sources: Sources, mask: Path, tmp_path: Path) -> None:
    shutil.copytree(base(sources), tmp_path / "elsewhere")
    assert load_pruned(mask, model=tmp_path / "elsewhere").info.base_model == "bert"


@pytest.mark.parametrize("other", ["roberta", "electra"])
def test_a_mask_fits_no_other_architecture(sources: Sources, mask: Path, other: str) -> None:
    assert refusal(mask, base(sources, other)).code == "base_mismatch"


def test_a_mask_of_other_matrices_is_refused(sources: Sources, mask: Path, tmp_path: Path) -> None:
    masks, info = mask_file.read(mask)
    name = next(iter(masks))
    fewer = {path: bits for path, bits in masks.items() if path != name}
    changed = {field: {path: value for path, value in getattr(info, field).items() if path != name} for field in ("shapes", "kept")}
    mask_file.write(tmp_path / "mask.safetensors", fewer, info.model_copy(update=changed))
    assert refusal(tmp_path / "mask.safetensors", base(sources)).code == "base_mismatch"


def test_a_base_that_is_nowhere_is_refused_by_name(mask: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="'bert'") as caught:
        load_pruned(mask, sources=Sources(tmp_path, None, hub=False))
    assert caught.value.code == "model_not_found"


def test_classes_by_name_with_their_probabilities() -> None:
    logits = np.array([[2.0, -1.0, 0.5], [-3.0, 88.0, 87.0]], dtype=np.float32)
    first, second = class_predictions(logits, ("a", "b", "c"))
    assert (first.value, first.label, second.value, second.label) == (0, "a", 1, "b")
    expected = torch.softmax(torch.from_numpy(logits).double(), dim=1).tolist()
    for prediction, shares in zip((first, second), expected, strict=True):
        assert prediction.probabilities is not None
        assert list(prediction.probabilities) == ["a", "b", "c"]
        assert list(prediction.probabilities.values()) == pytest.approx(shares, abs=1e-12)
