"""Selecting the masks of one step over drifting scores: the native kernels, their plain twin, torch.topk and a full sort.

    python -m benchmarks.select [--json] [--layers N] [--repeat N] [--threads N] [--share V] [--out FILE]

The matrices are those of N layers of BERT-base (72 matrices at 12); scores are Gaussian and drift by a hundredth of their
spread before each selection. Kinds take turns; ``*_s`` are
medians of wall-clock seconds for all matrices, masked weights included. All kinds
must find the same number of ones, the first two the same mask. The last line is one JSON object.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import records
from pruning.masking.kernels import dispatch
from pruning.masking.masked_linear import MaskedLinear, keep_top_k_each, keep_top_k_overall
from pruning.masking.topk import top_k_mask
from pruning.masking.topk_state import ThresholdState

SHAPES = ((768, 768),) * 4 + ((3072, 768), (768, 3072))


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.select")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--share", type=float, default=0.1, help="of the weights that is kept")
    records.add_options(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = _measure(arguments)
    records.keep(arguments, "select", found)
    print(json.dumps(found))


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(0)
    layers = [MaskedLinear(nn.Linear(i, o)) for _ in range(arguments.layers) for o, i in SHAPES]
    for layer in layers:
        layer.scores.normal_()
    kinds = _kinds(layers, [math.floor(arguments.share * layer.base.numel()) for layer in layers])
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for i in range(arguments.repeat + 1):  # the first is cold
        for layer in layers:
            layer.scores.add_(torch.randn_like(layer.scores), alpha=0.01)
        masks: dict[str, list[torch.Tensor]] = {}
        for name, select in kinds.items():
            began = time.perf_counter()
            select()
            if i:
                seconds[name].append(time.perf_counter() - began)
            masks[name] = [layer.mask.clone() for layer in layers]
        assert all(map(torch.equal, masks["native"], masks["plain"]))
        assert [int(mask.sum()) for mask in masks["sort"]] == [int(mask.sum()) for mask in masks["native"]]
    found: dict[str, Any] = {"matrices": len(layers), "threads": arguments.threads, "share": arguments.share}
    found |= {f"{name}_s": round(statistics.median(times), 4) for name, times in seconds.items()}
    for name in ("plain", "topk", "sort"):
        ratios = [theirs / ours for theirs, ours in zip(seconds[name], seconds["native"], strict=True)]
        found[f"ratio_{name}_to_native"] = round(statistics.median(ratios), 2)
    return found


def _kinds(layers: list[MaskedLinear], counts: list[int]) -> dict[str, Callable[[], None]]:
    together, plain_states = ThresholdState(), [ThresholdState() for _ in layers]

    def plain() -> None:
        with dispatch.plain_only():
            for layer, state, k in zip(layers, plain_states, counts, strict=True):
                layer.set_mask(top_k_mask(layer.scores, k, state))

    def by(order: Callable[[torch.Tensor, int], torch.Tensor]) -> Callable[[], None]:
        def select() -> None:
            for layer, k in zip(layers, counts, strict=True):
                mask = torch.zeros(layer.scores.numel(), dtype=torch.bool)
                mask[order(layer.scores.flatten(), k)] = True
                layer.set_mask(mask.view(layer.scores.shape))

        return select

    return {
        "native": lambda: keep_top_k_each(layers, counts),
        "native_together": lambda: keep_top_k_overall(layers, together, sum(counts)),
        "plain": plain,
        "topk": by(lambda scores, k: torch.topk(scores, k, sorted=False).indices),
        "sort": by(lambda scores, k: scores.sort(descending=True).indices[:k]),
    }


if __name__ == "__main__":
    main()
