"""Self-test of the Triton programs against their plain twins, run once a process before the first step.

Called by :mod:`pruning.masking.kernels.triton.availability`. Compiling takes seconds at the first use on a machine; Triton
keeps the results in its cache folder. A compiler or a driver that miscompiles a program is noticed here, and not in a mask.
"""

from collections.abc import Sequence

import torch

from pruning.masking import allocation
from pruning.masking.bits import unpack_tensor_lsb_first
from pruning.masking.kernels.triton.adam import ScoreUpdate, StepScalars
from pruning.masking.kernels.triton.allocation import MassAllocation
from pruning.masking.kernels.triton.chunk_table import CHUNK, TILE, ChunkTable
from pruning.masking.kernels.triton.topk import SelectionState, TopKSelection
from pruning.masking.kernels.triton.transfers import to_device_async

_NUMBERS = StepScalars(
    regularization=40.0,
    shift=0.25,
    max_grad_norm=1.0,
    keep1=0.9,
    take1=0.1,
    keep2=0.999,
    take2=0.001,
    step=-1e-2,
    divisor=0.7,
    epsilon=1e-8,
)
_TEMPERATURE = 2.0
Tensors = list[torch.Tensor]


class SelfTestError(Exception):
    """A program does not compute what its plain twin computes; the message says which."""


def run_self_test(device: torch.device, *, whole: bool = True, chunk: int = CHUNK, tile: int = TILE) -> None:
    """Raises SelfTestError, or an exception of Triton's where it cannot compile or start a program.

    ``whole`` says whether sizes are multiples of sixteen (:class:`ChunkTable`): others get programs of their own.
    """
    sizes = [2 * chunk + 80, 48, 16] if whole else [2 * chunk + 77, 35, 3]
    table = ChunkTable(sizes, device, chunk=chunk, tile=tile)
    random = torch.Generator().manual_seed(0)

    def normal(scale: float = 1.0) -> Tensors:
        return [scale * torch.randn(size, generator=random) for size in sizes]

    base, scores = normal(), normal(0.1)
    for half in (False, True):
        found = [(1e-3 * g).bfloat16() if half else g for g in normal()]
        slopes = [None, *(s.abs() for s in normal()[1:])] if half else [None] * len(sizes)
        _update(table, found, base, scores, slopes)
    for together in (False, True):
        _selection(table, together, base, scores, random)
    _allocation(table)


def _update(table: ChunkTable, found: Tensors, base: Tensors, scores: Tensors, slopes: Sequence[torch.Tensor | None]) -> None:
    device, n = table.device, len(table.sizes)
    update, numbers = ScoreUpdate(table), to_device_async(_NUMBERS, torch.float64, device)
    first, second = [0.1 * w for w in base], [w * w for w in base]
    g, w, s, m, v = ([tensor.to(device, copy=True) for tensor in part] for part in (found, base, scores, first, second))
    given = [None if slope is None else slope.to(device) for slope in slopes]
    out = [torch.zeros_like(tensor) for tensor in w]
    update.gradients(g, out, w, s, given, numbers)
    update.clip_norm(numbers, others=to_device_async([0.5], torch.float64, device))
    update.adam(s, out, m, v, numbers, [_TEMPERATURE] * n)
    expected = [_gradient(*each, n) for each in zip(found, base, scores, slopes, strict=True)]
    norm = torch.cat([*expected, torch.tensor([0.5])]).norm()
    clip = min(1.0, 1.0 / (float(norm) + 1e-6))
    _require("the gradients", out, expected)
    _require("the norm", [update.clipping], [torch.tensor([float(norm), clip, 1.0])])
    _require("the penalty", [update.report[:n]], [torch.stack([torch.sigmoid(t.double() - 0.25).mean() for t in scores])])
    a = _NUMBERS
    m2 = [a.keep1 * mean.double() + a.take1 * clip * grad for mean, grad in zip(first, expected, strict=True)]
    v2 = [a.keep2 * spread.double() + a.take2 * (clip * grad) ** 2 for spread, grad in zip(second, expected, strict=True)]
    s2 = [
        score.double() + a.step * mean / (spread.sqrt() / a.divisor + a.epsilon)
        for score, mean, spread in zip(scores, m2, v2, strict=True)
    ]
    _require("the moments and scores", [*m, *v, *s], [*m2, *v2, *s2])
    found_on_the_way = update.masses.clone()
    _require("the masses", [found_on_the_way], [torch.stack([torch.sigmoid(t / _TEMPERATURE).mean() for t in s2])])
    update.compute_masses(s, [_TEMPERATURE] * n)
    _require_same("the masses found alone", update.masses, found_on_the_way)
    before = [tensor.clone() for tensor in (*s, *m, *v)]
    out[0][0] = float("nan")
    update.gradients(out, out, w, s, given, numbers)
    update.clip_norm(numbers)
    update.adam(s, out, m, v, numbers, [_TEMPERATURE] * n)
    for now, then in zip((*s, *m, *v), before, strict=True):
        _require_same("what an update that is not finite leaves", now, then)


def _gradient(
    found: torch.Tensor, base: torch.Tensor, scores: torch.Tensor, slope: torch.Tensor | None, matrices: int
) -> torch.Tensor:
    own = found.double() * base.double()
    if slope is not None:
        own *= slope.double()
    sigma = torch.sigmoid(scores.double() - _NUMBERS.shift)
    return own + _NUMBERS.regularization / (base.numel() * matrices) * sigma * (1 - sigma)


def _selection(table: ChunkTable, together: bool, base: Tensors, scores: Tensors, random: torch.Generator) -> None:
    """Cold, warm, and with so many equal scores that most of those at the threshold are cut off."""
    device, selection = table.device, TopKSelection(table, together=together)
    w, s = ([tensor.to(device, copy=True) for tensor in part] for part in (base, scores))
    weights, bf16_weights = [torch.zeros_like(t) for t in w], [torch.zeros_like(t, dtype=torch.bfloat16) for t in w]
    for round_number in range(4):
        for tensor in s:
            tensor.add_(1e-3 * torch.randn(tensor.shape, generator=random).to(device))
            if round_number == 3:
                tensor.copy_(torch.round(tensor, decimals=1))
        counts = [int(0.3 * size) for size in ([sum(table.sizes)] if together else table.sizes)]
        selection.select(s, to_device_async(counts, torch.int64, device), w, weights, bf16_weights)
        rankings = [s] if together else [[tensor] for tensor in s]
        expected = [mask for ranking, k in zip(rankings, counts, strict=True) for mask in _sorted(ranking, k)]
        for mask, weight, bf16, expected_mask, w_ in zip(selection.masks, weights, bf16_weights, expected, w, strict=True):
            _require_same("a mask", unpack_tensor_lsb_first(mask, expected_mask.shape), expected_mask)
            _require_same("the masked weights", weight.view(torch.int32), (w_ * expected_mask).view(torch.int32))
            _require_same("the masked weights in bf16", bf16.view(torch.int16), (w_ * expected_mask).bfloat16().view(torch.int16))
        _require_same("the ones", selection.kept, torch.stack([mask.sum() for mask in expected]))
    if bool(selection.state[SelectionState.FAULT].any()):
        raise SelfTestError("the selection reports a fault where there is none")


def _sorted(ranking: Tensors, k: int) -> Tensors:
    flat = torch.cat(ranking) + 0.0
    mask = torch.zeros(flat.shape, dtype=torch.bool, device=flat.device)
    mask[torch.sort(flat, descending=True, stable=True).indices[:k]] = True
    return list(torch.split(mask, [tensor.numel() for tensor in ranking]))


def _allocation(table: ChunkTable) -> None:
    n = len(table.sizes)
    masses, remaining = [0.5 / (i + 1) for i in range(n)], 0.7
    on_device = (to_device_async(masses, torch.float64, table.device), to_device_async([remaining], torch.float64, table.device))
    for surplus in ("redistribute", "drop"):
        counts = MassAllocation(table, [range(n)], surplus).allocate(*on_device)
        expected = allocation.by_mass(table.sizes, masses, remaining, surplus)
        _require_same("the counts", counts.cpu(), torch.tensor(expected))


def _require(what: str, found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    """Equal except for the roundings of float32."""
    for one, other in zip(found, expected, strict=True):
        if not torch.allclose(one.double().cpu(), other.double().cpu(), rtol=2e-5, atol=1e-7):
            raise SelfTestError(f"{what} differ from those of plain PyTorch")


def _require_same(what: str, found: torch.Tensor, expected: torch.Tensor) -> None:
    if not torch.equal(found, expected):
        raise SelfTestError(f"{what} differ from those of plain PyTorch")
