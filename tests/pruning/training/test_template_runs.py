"""Runs with a template: training, the stored mask and predictions read the same mask token, for any text."""

from pathlib import Path

import pytest

from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests.pruning.runs import make_sources, run_toy
from tests.toy_datasets import read_lines


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def test_a_mask_carries_its_template(sources: Sources, tmp_path: Path) -> None:
    template = "{text} great {mask} terrible"  # words that the toy's vocabulary has
    events = run_toy(sources, tmp_path, template=template, validation_rows=None)
    last = events[-1]
    assert last.event == "finished"
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    assert pruned.info.template == pruned.info.spec.template == template
    texts = [row["sentence"] for row in read_lines(Path(str(sources.datasets_dir)) / "sst2" / "validation.jsonl")]
    predictions = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert pruned.predict(texts) == [row["prediction"] for row in predictions]
    assert evaluate_mask(pruned, sources)["accuracy"] == pytest.approx(last.metrics["final"]["accuracy"])
    encoded = pruned._split([texts[0], f"[MASK] {texts[0]}"], None).encoded
    mask = pruned.tokenizer.mask_token_id
    assert [ids.count(mask) for ids in encoded.input_ids] == [1, 1]
    assert [ids.index(mask) - len(ids) for ids in encoded.input_ids] == [-3, -3]
