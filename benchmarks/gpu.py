"""One training step on a GPU in bf16, against the dense bound and against a loop in the style of the reference code.

    python -m benchmarks.gpu [--json] [--rounds N] [--steps N] [--rows N] [--tokens N] [--out FILE]

BERT-base with random weights and dropout, 64 rows of 128 tokens unless asked otherwise, so nothing is downloaded. The kinds:

``dense``        forward and backward with gradients for the masked matrices, by ``torch.compile``: the least that a step can be
``dense_eager``  the same without the compiler
``smp_s``        a step of the project: select, forward, backward, update; by the GPU's own programs where they work
``reference``    a step of ``benchmarks/reference_style.py`` under autocast

They take turns in rounds of ``--steps`` steps each, in one process, the GPU waited for at the ends alone. Seconds are medians of a
step, ratios medians over the rounds. ``tflops`` counts the matrix products of a dense forward and backward pass; its share of
the peak is null for a GPU that is not in the table. The last line is one JSON object. Without a GPU it exits with status 1.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM

from benchmarks import records
from benchmarks.reference_style import Reference
from pruning.masking.methods.smp import SmpS
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.wrap import wrap_linears
from pruning.models import autocast
from pruning.models.heads import LabelWordHead
from pruning.spec.schema import PruningSpec
from pruning.training import backends, losses
from pruning.training.pruner import Pruner

PEAKS = {"H200": 989.4, "H100 PCIe": 756.0, "H100 NVL": 835.0, "H100": 989.4, "A100": 312.0}
"""TFLOP/s of dense bf16 products as the vendor states them; the first name that is part of the device's counts."""
STEPS, WORDS, MASK = 1000, (6659, 2307), 103
Batch = dict[str, torch.Tensor]
Steps = dict[str, Callable[[int], None]]


def main() -> None:
    """Measure, print, keep."""
    arguments = _arguments()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu measures on an NVIDIA GPU, and torch sees none here; benchmarks.step measures on the CPU")
    device = torch.device("cuda")
    autocast.require_precision("bf16", device)
    name = torch.cuda.get_device_name(device)
    steps, flops, used = prepare(BertConfig(), arguments.rows, arguments.tokens, device)
    found = measure(steps, arguments.rounds, arguments.steps, device, say=None if arguments.json else print)
    found |= {"gpu": name, "rows": arguments.rows, "tokens": arguments.tokens, "precision": "bf16"}
    found["kernels"] = used
    found["peak_memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    found |= rates(found, list(steps), arguments.rows * arguments.tokens, flops, peak_of(name))
    if found["peak_tflops"] is None and not arguments.json:
        print(f"the peak of {name} is not in the table, so there are no shares of it")
    records.keep(arguments, "gpu", found)
    print(json.dumps(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="of each kind in a round")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    records.add_options(parser)
    return parser.parse_args()


def prepare(config: BertConfig, rows: int, tokens: int, device: torch.device) -> tuple[Steps, int, str]:
    """A step of each kind, given its number, the floating point operations of a dense one, and the kernels in use."""
    torch.manual_seed(0)
    model = BertForMaskedLM(config).train()
    theirs = copy.deepcopy(model)
    matrices = wrap_linears(model)
    head = LabelWordHead(model, WORDS, MASK).to(device)
    schedule = Schedule.from_spec(PruningSpec(model="m", task="sst2", max_steps=STEPS, sparsity=0.9), STEPS)
    layers = list(matrices.layers.values())
    for layer in layers:
        layer.scores.normal_(0, 0.1)  # spread, as after some hundred steps: they start equal
    ids = torch.randint(1000, 30000, (rows, tokens), device=device)
    labels = torch.randint(0, 2, (rows,), device=device)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}

    def loss_by(forward: Callable[..., torch.Tensor]) -> Callable[[Batch], torch.Tensor]:
        def loss_of(given: Batch) -> torch.Tensor:
            with autocast.for_precision("bf16", device):
                logits = forward(given["input_ids"], given["attention_mask"])
            return losses.classification(logits.float(), given["labels"])

        return loss_of

    def dense_by(loss_of: Callable[[Batch], torch.Tensor]) -> Callable[[int], None]:
        def dense(_: int) -> None:
            torch.autograd.backward(loss_of(batch))
            for layer in layers:
                layer.weight.grad = None

        return dense

    pruner = backends.select_backend(Pruner(matrices, SmpS(), ScoreAdam(layers), schedule, loss_by(head)), "bf16")
    before: list[Callable[[], object]] = []
    reference = Reference(LabelWordHead(theirs, WORDS, MASK).to(device), schedule)

    def step_of_ours(t: int) -> None:
        before.append(pruner.launch(t, [batch]))
        while len(before) > pruner.max_pending:  # as the loop of a run does
            before.pop(0)()

    def step_of_theirs(t: int) -> None:
        with autocast.for_precision("bf16", device):
            reference.step(t, batch)

    eager = dense_by(loss_by(head))
    with FlopCounterMode(display=False) as counter:
        eager(0)
    kinds: Steps = {
        "dense": dense_by(loss_by(torch.compile(head, dynamic=False))),
        "dense_eager": eager,
        "smp_s": step_of_ours,
        "reference": step_of_theirs,
    }
    return kinds, counter.get_total_flops(), pruner.kernels


def measure(kinds: Steps, rounds: int, steps: int, device: torch.device, say: Callable[[str], None] | None) -> dict[str, Any]:
    """Median seconds of a step of each kind, and the median over the rounds of each ratio to ``dense``."""
    t = STEPS // 2
    for step in kinds.values():  # compiled, warm
        for i in range(3):
            step(t + i)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for i in range(rounds):
        for name, step in kinds.items():
            step(t)
            _wait(device)
            began = time.perf_counter()
            for j in range(steps):
                step(t + 1 + j)
            _wait(device)
            seconds[name].append((time.perf_counter() - began) / steps)
        t += steps + 1
        if say:
            say(f"round {i + 1}: " + " ".join(f"{name} {times[-1] * 1e3:.2f} ms" for name, times in seconds.items()))
    found: dict[str, Any] = {"rounds": rounds, "steps": steps}
    found |= {f"{name}_s": round(statistics.median(times), 6) for name, times in seconds.items()}
    for over, under in (("smp_s", "dense"), ("smp_s", "dense_eager"), ("reference", "smp_s")):
        ratios = [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
        found[f"ratio_{over}_to_{under}"] = round(statistics.median(ratios), 4)
    return found


def rates(found: dict[str, Any], kinds: list[str], tokens: int, flops: int, peak: float | None) -> dict[str, Any]:
    """Tokens per second, TFLOP/s and its share of ``peak``, for seconds ``found`` of a step of ``tokens`` tokens."""
    tflops = {name: flops / found[f"{name}_s"] / 1e12 for name in kinds}
    return {
        "flops_per_step": flops,
        "peak_tflops": peak,
        **{f"{name}_tokens_per_s": round(tokens / found[f"{name}_s"]) for name in kinds},
        **{f"{name}_tflops": round(rate, 2) for name, rate in tflops.items()},
        **{f"{name}_share_of_peak": round(rate / peak, 4) if peak else None for name, rate in tflops.items()},
    }


def peak_of(name: str) -> float | None:
    """Peak of a device by its name, in TFLOP/s."""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
