"""Memory and switch time of a MaskBank on a model of BERT-base's size: ``python -m benchmarks.bank [MASKS]``.

The model has random weights, which takes the same time and memory as trained ones. Figures are in docs/how-to/using-masks.md.
"""

import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM

from benchmarks.masks import even
from pruning.formats import mask_file
from pruning.hub.models import ModelFolder
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import load_pruned
from pruning.masking.wrap import prunable_linears
from pruning.models.label_words import label_word_ids
from pruning.models.loading import load_model, weights_digest
from pruning.spec.schema import PruningSpec

_TOKENIZER = Path(__file__).parent.parent / "demo" / "models" / "espalier-demo-mlm"
_WORDS = ("terrible", "great")
_DENSITY = 0.1
_SWITCHES = 10


def main() -> None:
    """Print one JSON object."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        masks = _write(folder, count)
        before = _resident()
        bank = MaskBank(folder / "base")
        bank.add("0", masks[0])
        first = _resident()
        for i, mask in enumerate(masks[1:], 1):
            bank.add(str(i), mask)
        switches = [_switch(bank, str(i % count)) for i in range(count * _SWITCHES)]
        began = time.perf_counter()
        load_pruned(masks[0], model=folder / "base")
        loading = time.perf_counter() - began
    print(
        json.dumps(
            {
                "masks": count,
                "mask_bytes_each": bank.mask_bytes // count,
                "bank_with_one_mask_mb": round((first - before) / 1e6),
                "switch_ms": round(1000 * statistics.median(switches)),
                "load_pruned_ms": round(1000 * loading),
                "threads": torch.get_num_threads(),
            }
        )
    )


def _switch(bank: MaskBank, name: str) -> float:
    began = time.perf_counter()
    with bank.using(name):
        return time.perf_counter() - began


def _write(folder: Path, count: int) -> list[Path]:
    """A base and ``count`` masks of it."""
    BertForMaskedLM(BertConfig()).save_pretrained(folder / "base")
    for file in _TOKENIZER.glob("tokenizer*"):
        shutil.copy(file, folder / "base")
    loaded = load_model(ModelFolder(folder / "base", None), _WORDS, "label-words")
    shapes = {path: (linear.out_features, linear.in_features) for path, linear in prunable_linears(loaded.model).items()}
    info = mask_file.MaskInfo(
        base_model="base",
        base_digest=weights_digest(loaded.model),
        task="sst2",
        kind="classification",
        head="label-words",
        label_words=_WORDS,
        label_ids=tuple(label_word_ids(loaded.tokenizer, _WORDS)),
        max_length=128,
        shapes=shapes,
        kept={},
        metrics={},
        spec=PruningSpec(model="base", task="sst2"),
        versions={},
    )
    written = []
    for seed in range(count):
        masks = dict(zip(shapes, even(_DENSITY, tuple(shapes.values()), seed).masks, strict=True))
        path = folder / f"{seed}.safetensors"
        kept = {name: int(mask.sum()) for name, mask in masks.items()}
        mask_file.write(path, masks, info.model_copy(update={"kept": kept}))
        written.append(path)
    return written


def _resident() -> int:
    """Resident bytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
