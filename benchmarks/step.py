"""One training step against the dense bound: forward and backward with gradients for the masked matrices, nothing else.

``dense`` is the model as transformers makes it. ``bare`` is the forward and backward pass as the steps of all methods do it,
without the positions that nothing reads behind the last attention (:mod:`pruning.models.position_slicing`) and with faster dropout
(:mod:`pruning.models.dropout`): what lies between the two has nothing to do with masks, what lies behind ``bare`` has.

    python -m benchmarks.step [--json] [--shape bert-base|minilm] [--rounds N] [--threads N] [--plain] [--out FILE]
        [--machine TEXT]

Weights are random, so nothing is downloaded; dropout is on, as in training. Steps of all kinds take turns in one process, on
one model; before each timed step of a method come some that are not timed, so that its selection is warm. ``*_s`` are medians
of wall-clock seconds, ratios are medians over the rounds; ``*_cpu_s`` and ``*_cpu`` are the same of processor time, which other
programs on the machine disturb less. The peak is that of a process of its own that makes three
steps of smp-s. The last line is one JSON object.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM

from benchmarks import records
from pruning.masking.kernels import dispatch
from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.methods.base import Method
from pruning.masking.methods.smp import SmpG, SmpL, SmpS
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.topk_state import ThresholdState
from pruning.masking.wrap import wrap_linears
from pruning.models import dropout
from pruning.models.heads import LabelWordHead
from pruning.spec.schema import PruningSpec
from pruning.training import losses
from pruning.training.pruner import Pruner

MINILM: dict[str, Any] = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
SHAPES: dict[str, tuple[dict[str, Any], int, int]] = {"bert-base": ({}, 8, 128), "minilm": (MINILM, 16, 16)}
METHODS: dict[str, Callable[[], Method]] = {"smp_s": SmpS, "smp_l": SmpL, "smp_g": SmpG}
DENSE = ("dense", "bare")
STEPS = 1000
WARM = 3
"""Steps of a method before one that is timed: its thresholds have then moved as they do in a run."""
Batch = dict[str, torch.Tensor]


def main() -> None:
    """Measure, print, keep."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    pruner, head, batch = _prepare(arguments.shape)
    if arguments.peak:
        _steps(pruner, batch, 3)
        print(_high_water())
        return
    if arguments.plain:
        with dispatch.plain_only():
            found = _measure(pruner, head, batch, arguments)
    else:
        found = _measure(pruner, head, batch, arguments)
    found["peak_rss_gib"] = round(_peak(arguments), 3)
    records.keep(arguments, "step", found)
    print(json.dumps(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step")
    parser.add_argument("--shape", choices=SHAPES, default="bert-base")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--plain", action="store_true", help="the plain twins in place of the native kernels")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    records.add_options(parser)
    return parser.parse_args()


def _prepare(shape: str) -> tuple[Pruner[Batch], LabelWordHead, Batch]:
    """A model with scores in the middle of a run at 90 % sparsity, and a batch."""
    torch.manual_seed(0)
    sizes, rows, tokens = SHAPES[shape]
    model = BertForMaskedLM(BertConfig(**sizes)).train()
    matrices = wrap_linears(model)
    dropout.replace_dropout(model)
    head = LabelWordHead(model, [6659, 2307], 103)
    ids = torch.randint(1000, 30000, (rows, tokens))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.randint(0, 2, (rows,))}

    def loss_of(given: Batch) -> torch.Tensor:
        return losses.classification(head(given["input_ids"], given["attention_mask"]), given["labels"])

    schedule = Schedule.from_spec(PruningSpec(model="m", task="sst2", max_steps=STEPS, sparsity=0.9), STEPS)
    layers = list(matrices.layers.values())
    return Pruner(matrices, SmpS(), ScoreAdam(layers), schedule, loss_of), head, batch


def _steps(pruner: Pruner[Batch], batch: Batch, count: int, first: int = STEPS // 2) -> None:
    for t in range(first, first + count):
        pruner.step(t, [batch])


def _measure(pruner: Pruner[Batch], head: LabelWordHead, batch: Batch, arguments: argparse.Namespace) -> dict[str, Any]:
    layers = list(pruner.matrices.layers.values())
    for layer in layers:
        layer.scores.normal_(0, 0.1)  # spread, as after some hundred steps: they start equal
    methods = {name: make() for name, make in METHODS.items()}
    memories = {
        name: [ThresholdState() for _ in layers] for name in METHODS
    }  # each knows the thresholds of its own masks, as in a run
    wall: dict[str, list[float]] = {name: [] for name in (*DENSE, *METHODS)}
    cpu: dict[str, list[float]] = {name: [] for name in wall}
    t = STEPS // 2
    for i in range(arguments.rounds + 1):  # the first is not counted
        for name in wall:
            if name in METHODS:
                pruner.method = methods[name]
                _remember(layers, memories[name])
                _steps(pruner, batch, WARM, t)
                t += WARM
            began, used = time.perf_counter(), time.process_time()
            _work(name, t, pruner, head, batch)
            if i:
                wall[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - used)
            t += name in METHODS
        if not arguments.json:
            print(f"round {i}:", *(f"{name} {times[-1]:.3f} s" for name, times in wall.items() if times), flush=True)
    found: dict[str, Any] = {"shape": arguments.shape, "threads": arguments.threads, "rounds": arguments.rounds}
    found["kernels"] = dispatch.kernel_name(torch.device("cpu"))
    for name in wall:
        found[f"{name}_s"] = round(statistics.median(wall[name]), 4)
        found[f"{name}_cpu_s"] = round(statistics.median(cpu[name]), 4)
    for name in METHODS:
        for bound in DENSE:
            found[f"ratio_{name}_to_{bound}"] = _ratio(wall[name], wall[bound])
            found[f"ratio_{name}_to_{bound}_cpu"] = _ratio(cpu[name], cpu[bound])
    return found


def _remember(layers: list[MaskedLinear], memories: list[ThresholdState]) -> None:
    for layer, memory in zip(layers, memories, strict=True):
        layer.threshold = memory


def _work(name: str, t: int, pruner: Pruner[Batch], head: LabelWordHead, batch: Batch) -> None:
    if name == "dense":
        with dispatch.plain_only(), head.all_positions():
            dense_step(pruner, batch)
    elif name == "bare":
        dense_step(pruner, batch)
    else:
        pruner.step(t, [batch])


def dense_step(pruner: Pruner[Batch], batch: Batch) -> None:
    """Forward and backward of the dense model; the gradients of the masked matrices are made and dropped."""
    for layer in pruner.matrices.layers.values():
        layer.remove_mask()
    loss = pruner.loss_of(batch)
    torch.autograd.backward(loss)
    float(loss.detach())
    for layer in pruner.matrices.layers.values():
        layer.weight.grad = None


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 4)


def _high_water() -> float:
    """GiB. Of this program alone: getrusage would count what the process that started it had in memory."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 2**20


def _peak(arguments: argparse.Namespace) -> float:
    command = [sys.executable, "-m", "benchmarks.step", "--peak", "--shape", arguments.shape]
    command += ["--threads", str(arguments.threads)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
