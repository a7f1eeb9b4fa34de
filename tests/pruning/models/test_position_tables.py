"""Models with a number of positions that is no multiple of eight: trained, predicting and exported at full length."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pruning.export.load import load_export
from pruning.export.run import run_exports
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import run_toy

pytestmark = pytest.mark.slow

LONG = "the film was great " * 40


def shorten(folder: Path, positions: int, tokens_said: int) -> None:
    """Cut a model's table of positions; its tokenizer claims ``tokens_said``."""
    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    behind = config["max_position_embeddings"] - 64
    for name in [name for name in weights if "position_embeddings" in name]:
        weights[name] = weights[name][: positions + behind].clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": positions + behind}))
    about = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**about, "model_max_length": tokens_said}))


@pytest.mark.parametrize(("shape", "positions"), [("bert", 50), ("roberta", 43), ("mpnet", 50), ("albert", 33), ("llama", 50)])
def test_the_last_position_is_used_and_none_behind_it(tmp_path: Path, shape: str, positions: int) -> None:
    shorten(toy_architectures.make_model(tmp_path / "models" / shape, shape), positions, 512)
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2")
    for file in (tmp_path / "datasets" / "sst2").glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rows[0]["sentence"] = LONG
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = Sources(tmp_path / "models", tmp_path / "datasets", hub=False)
    run_toy(sources, tmp_path / "work", model=shape, sparsity=0.95, max_length=64, max_steps=2, train_rows=16, validation_rows=16)
    mask = tmp_path / "work" / "artifacts" / "mask.safetensors"
    pruned = load_pruned(mask, sources=sources)
    logits = torch.tensor(pruned.logits([LONG, "a film"]))
    assert torch.isfinite(logits).all()
    bank = MaskBank(shape, sources=sources)
    bank.add("task", mask)
    assert bank.predict("task", [LONG]) == pruned.predict([LONG])
    entries = run_exports(mask, ["csr"], tmp_path / "exports", sources=sources)
    assert [entry.error for entry in entries] == [None]
    exported = load_export(tmp_path / "exports" / "csr")
    torch.testing.assert_close(torch.tensor(exported.logits([LONG, "a film"])), logits, rtol=1e-4, atol=1e-5)
