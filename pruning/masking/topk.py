"""Exact top-k of scores: the k weights that a mask keeps, reproducible bit by bit.

A mask of k ones keeps the k largest scores; equal scores are ordered by index, lowest first (-0.0 equals 0.0), so the result is
that of a full *stable* descending sort on any machine, without the sort. Scores move little between two steps, so the threshold
of the last step, moved on as it moved before and give or take a small width, already splits them: two counts prove that the
k-th score lies in between, and only the few scores inside are sorted. Here is the definition, in numpy; where compiled kernels
are (:mod:`pruning.masking.kernels.dispatch`) they find the same masks in less time. Called by
:mod:`pruning.masking.masked_linear`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from pruning.masking import bits
from pruning.masking.kernels import dispatch
from pruning.masking.topk_state import ThresholdState

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

_BRACKETS = 6
"""Widened brackets tried before the cold selection, which costs about as much as six counts."""


def top_k_mask(scores: torch.Tensor, k: int, state: ThresholdState) -> torch.Tensor:
    """A bool tensor of the shape of ``scores`` with exactly ``k`` ones; see :func:`top_k_masks`."""
    return top_k_masks([scores], k, state)[0]


def top_k_masks(scores: Sequence[torch.Tensor], k: int, state: ThresholdState) -> list[torch.Tensor]:
    """One ranking over several tensors: bool tensors of their shapes with exactly ``k`` ones in all.

    Of equal scores those of the earlier tensor come first. ``state`` is that of this ranking, and updated. Raises ValueError if
    k is out of range or a score is NaN.
    """
    total = sum(tensor.numel() for tensor in scores)
    if not 0 <= k <= total:
        raise ValueError(f"k = {k} is not between 0 and the {total} scores")
    if k in (0, total):
        return [torch.full(t.shape, k > 0, dtype=torch.bool, device=t.device) for t in scores]
    if scores[0].device.type != "cpu":
        return top_k_masks_on_device(scores, k)
    if kernels := dispatch.cpu_kernels_for(scores):
        packed = kernels.select([state], [scores], [k])
        return [bits.unpack_tensor_lsb_first(mask, tensor.shape) for mask, tensor in zip(packed, scores, strict=True)]
    flat = [tensor.detach().reshape(-1).numpy() for tensor in scores]
    if any(np.isnan(part.min(initial=np.inf)) for part in flat):  # no comparison below detects it
        raise ValueError("a score is NaN; no ranking exists")
    chosen = _select_warm(flat, k, state)
    if chosen is None:
        chosen = _select_cold(flat, k, state)
    return [torch.from_numpy(ones).view(tensor.shape) for ones, tensor in zip(chosen, scores, strict=True)]


def _select_warm(flat: list[Floats], k: int, state: ThresholdState) -> list[Bools] | None:
    """Selection by a bracket around the expected threshold; None where the k-th score is not inside any bracket tried."""
    if state.threshold is None:
        return None
    center, width = state.expected, state.width
    for _ in range(_BRACKETS):
        above: list[Bools] = [part > center + width for part in flat]
        missing = k - sum(int(np.count_nonzero(ones)) for ones in above)
        if missing > 0:
            inside = [np.flatnonzero((part >= center - width) & ~ones) for part, ones in zip(flat, above, strict=True)]
            if sum(part.size for part in inside) >= missing:
                threshold = _add_largest(above, flat, inside, missing)
                state.update(threshold, warm=True)
                state.width = max(2 * abs(threshold - center), 0.7 * width)
                return above
        width = 4 * width if width > 0 else 1e-3 * max(abs(center), 1e-6)
    return None


def _select_cold(flat: list[Floats], k: int, state: ThresholdState) -> list[Bools]:
    """Selection without memory, by partial sort."""
    state.cold_selections += 1
    whole = flat[0] if len(flat) == 1 else np.concatenate(flat)
    threshold = np.partition(whole, whole.size - k)[whole.size - k]
    chosen: list[Bools] = [part > threshold for part in flat]
    missing = k - sum(int(np.count_nonzero(ones)) for ones in chosen)
    for part, ones in zip(flat, chosen, strict=True):
        ties = np.flatnonzero(part == threshold)[:missing]
        ones[ties] = True
        missing -= ties.size
    state.update(float(threshold), warm=False)
    state.width = 0.02 * float(flat[0].std())
    return chosen


def _add_largest(chosen: list[Bools], flat: list[Floats], candidates: list[npt.NDArray[np.intp]], count: int) -> float:
    """Mark the ``count`` largest candidates (ascending indices) in place; returns the smallest value marked."""
    values = np.concatenate([part[indices] for part, indices in zip(flat, candidates, strict=True)])
    order = np.argsort(-values, kind="stable")[:count]
    taken = np.zeros(values.size, dtype=bool)
    taken[order] = True
    start = 0
    for ones, indices in zip(chosen, candidates, strict=True):
        ones[indices[taken[start : start + indices.size]]] = True
        start += indices.size
    return float(values[order[-1]])


def top_k_masks_on_device(scores: Sequence[torch.Tensor], k: int) -> list[torch.Tensor]:
    """Top-k masks by torch operations alone: nothing is copied to the host, so the host does not wait for a GPU."""
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in scores])
    threshold = torch.topk(flat, k, sorted=True).values[-1]
    above = flat > threshold
    ties = flat == threshold
    allowed = k - above.sum()
    chosen = above | (ties & (ties.cumsum(0) <= allowed))
    parts = torch.split(chosen, [tensor.numel() for tensor in scores])
    return [part.view(tensor.shape) for part, tensor in zip(parts, scores, strict=True)]


def top_k_of_rows(values: torch.Tensor, k: int, group: int | None = None) -> torch.Tensor:
    """Bool mask of the shape of ``values`` [out, in] with the ``k`` largest of every row, or of every ``group``
    neighbours in a row (in must be a multiple of it); ties as above."""
    rows = values.reshape(-1, group or values.shape[1])
    order = torch.sort(rows, dim=1, descending=True, stable=True).indices[:, :k]
    return torch.zeros_like(rows, dtype=torch.bool).scatter_(1, order, value=True).view(values.shape)


def top_k_in_rows(values: torch.Tensor, count: int) -> torch.Tensor:
    """Bool mask of the shape of ``values`` [out, in] with ``count`` ones, as many in every row, except for one more in the rows
    whose next value is the largest; ties as above."""
    per_row, more = divmod(count, values.shape[0])
    mask = top_k_of_rows(values, per_row)
    if more:
        following = torch.sort(values, dim=1, descending=True, stable=True)
        rows = torch.sort(following.values[:, per_row], descending=True, stable=True).indices[:more]
        mask[rows, following.indices[rows, per_row]] = True
    return mask
