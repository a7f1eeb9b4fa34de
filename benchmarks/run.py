"""Training throughput on a task, the run as it is against a loop in the style of the reference code.

    python -m benchmarks.run [--json] [--models-dir DIR --datasets-dir DIR --model NAME --task NAME] [--steps N] [--batch N]
        [--threads N] [--precision fp32|bf16] [--token-cache DIR] [--out FILE]

Without folders the project's own small model and reviews. Both do SMP-S with the same schedule on the same rows: the project
on batches of similar length, the other (``benchmarks/reference_style.py``) on rows padded to 128
tokens, or the longest that the model reads. Steps take turns; rates are rows through the steps' wall-clock seconds, those with
``cpu`` in their name through seconds of processor time, which other programs disturb less; loading and tokenizing are
excluded. The last line is one JSON object.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import demo
from benchmarks import records
from benchmarks.reference_style import Reference
from demo.settings import SHIPPED_MODEL, SHIPPED_SPEC
from pruning.data.encoding import PAD_MULTIPLE
from pruning.models.heads import LabelWordHead
from pruning.models.loading import load_model, locate_model
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training.run import Batch, Run
from pruning.training.setup import set_up

_DEMO = Path(demo.__file__).parent
PADDED = 128


def main() -> None:
    """Measure, print, keep."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    sources = Sources(arguments.models_dir, arguments.datasets_dir, hub=False, token_cache=arguments.token_cache)
    spec = PruningSpec.model_validate(
        {
            "model": arguments.model,
            "task": arguments.task,
            "batch_size": arguments.batch,
            "max_steps": 1000,
            "sparsity": 0.9,
            "max_length": PADDED,
            "validation_rows": 8,
            "precision": arguments.precision,
            "distill_states": 0,  # the reference style has none
        }
    )
    began = time.perf_counter()
    run = set_up(spec, sources, lambda event: None)
    prepared = time.perf_counter() - began
    loaded = load_model(locate_model(spec.model, None, sources), spec.label_words, "label-words")
    head = LabelWordHead(loaded.model, run.label_ids, loaded.tokenizer.mask_token_id)
    found = _measure(run, Reference(head, run.pruner.schedule), arguments.steps)
    found |= {"prepare_s": round(prepared, 2), "train_rows": len(run.train), "threads": arguments.threads}
    found["precision"] = arguments.precision
    records.keep(arguments, "run", found)
    print(json.dumps(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("--models-dir", type=Path, default=_DEMO / "models")
    parser.add_argument("--datasets-dir", type=Path, default=_DEMO / "datasets")
    parser.add_argument("--model", default=SHIPPED_MODEL)
    parser.add_argument("--task", default=SHIPPED_SPEC["task"], help="a task by name")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of the project's run; the other is fp32")
    parser.add_argument("--token-cache", type=Path, help="folder of tokenized rows; without one they are tokenized")
    records.add_options(parser)
    return parser.parse_args()


def _measure(run: Run, reference: Reference, steps: int) -> dict[str, Any]:
    wall, cpu = {"ours": 0.0, "theirs": 0.0}, {"ours": 0.0, "theirs": 0.0}
    rows = 0
    run.head.train()
    for t in range(500, 500 + steps + 2):
        batch = run.batch(t, 0)
        padded = _padded(batch, min(PADDED, run.max_length), run.train.pad_id)
        counted = t >= 502  # the first two find everything cold
        rows += counted * len(batch["labels"])
        for name in wall:
            began, used = time.perf_counter(), time.process_time()
            if name == "ours":
                run.pruner.step(t, [run.batch(t, 0)])
            else:
                reference.step(t, padded)
            wall[name] += counted * (time.perf_counter() - began)
            cpu[name] += counted * (time.process_time() - used)
    return {
        "rows": rows,
        "samples_per_s": round(rows / wall["ours"], 2),
        "reference_style_samples_per_s": round(rows / wall["theirs"], 2),
        "ratio": round(wall["theirs"] / wall["ours"], 2),
        "samples_per_cpu_s": round(rows / cpu["ours"], 2),
        "reference_style_samples_per_cpu_s": round(rows / cpu["theirs"], 2),
        "ratio_cpu": round(cpu["theirs"] / cpu["ours"], 2),
    }


def _padded(batch: Batch, width: int, pad_id: int) -> Batch:
    """The batch with every row as long as ``width``, a multiple of :data:`pruning.data.encoding.PAD_MULTIPLE`."""
    missing = width // PAD_MULTIPLE * PAD_MULTIPLE - batch["input_ids"].shape[1]
    if missing <= 0:
        return batch
    fill = {"input_ids": pad_id, "attention_mask": 0, "token_type_ids": 0}
    return {
        name: torch.nn.functional.pad(tensor, (0, missing), value=fill[name]) if name in fill else tensor
        for name, tensor in batch.items()
    }


if __name__ == "__main__":
    main()
