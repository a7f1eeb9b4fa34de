"""Exact top-k of scores: which weights a mask keeps, reproducible bit by bit.

A mask of k ones keeps the k largest scores; equal scores are ordered by index, lowest first (-0.0 equals 0.0), so the
result is that of a full *stable* descending sort on any machine, without the sort. Scores move little between two steps,
so the threshold of the last step, give or take a small width, already splits them: two counts prove that the k-th score
lies in between, and only the few scores inside are sorted.
"""

import numpy as np
import numpy.typing as npt
import torch

_TRIES = 6
"""Widened brackets tried before the cold selection, which costs about as much as six counts."""


class TopK:
    """Selects the k largest scores of one matrix, again and again; remembers where the threshold was.

    The memory only saves time: the mask depends on the scores and k alone.
    """

    def __init__(self) -> None:
        self._threshold: float | None = None
        self._width = 0.0

    def mask(self, scores: torch.Tensor, k: int) -> torch.Tensor:
        """A bool tensor of the shape of ``scores`` with exactly ``k`` ones (0 <= k <= numel).

        Raises ValueError if k is out of range or a score is NaN.
        """
        if not 0 <= k <= scores.numel():
            raise ValueError(f"k = {k} is not between 0 and the {scores.numel()} scores")
        if k in (0, scores.numel()):
            return torch.full(scores.shape, k > 0, dtype=torch.bool, device=scores.device)
        if scores.device.type != "cpu":
            return top_k_on_device(scores, k)
        flat = scores.detach().reshape(-1).numpy()
        chosen = self._warm(flat, k)
        if chosen is None:
            chosen = self._cold(flat, k)
        return torch.from_numpy(chosen).view(scores.shape)

    def _warm(self, flat: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.bool_] | None:
        """Selection by bracket around the last threshold; None where the k-th score is not inside any bracket tried."""
        if self._threshold is None:
            return None
        center, width = self._threshold, self._width
        for _ in range(_TRIES):
            above: npt.NDArray[np.bool_] = flat > center + width
            ones = int(np.count_nonzero(above))
            if ones < k:
                inside = np.flatnonzero((flat >= center - width) & ~above)
                if ones + inside.size >= k:
                    threshold = _add_largest(above, flat, inside, k - ones)
                    self._threshold = threshold
                    self._width = max(2 * abs(threshold - center), 0.7 * width)
                    return above
            width = 4 * width if width > 0 else 1e-3 * max(abs(center), 1e-6)
        return None

    def _cold(self, flat: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.bool_]:
        """Selection without memory, by partial sort."""
        if np.isnan(flat.min()):
            raise ValueError("a score is NaN; no ranking exists")
        threshold = np.partition(flat, flat.size - k)[flat.size - k]
        chosen: npt.NDArray[np.bool_] = flat > threshold
        ties = np.flatnonzero(flat == threshold)
        chosen[ties[: k - int(np.count_nonzero(chosen))]] = True
        self._threshold = float(threshold)
        self._width = 0.02 * float(flat.std())
        return chosen


def _add_largest(
    chosen: npt.NDArray[np.bool_], flat: npt.NDArray[np.floating], candidates: npt.NDArray[np.intp], count: int
) -> float:
    """Mark the ``count`` largest candidates (ascending indices) in place; returns the smallest value marked."""
    order = np.argsort(-flat[candidates], kind="stable")[:count]
    chosen[candidates[order]] = True
    return float(flat[candidates[order[-1]]])


def top_k_on_device(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The same mask by torch operations alone: nothing is copied to the host, so a GPU is never waited for."""
    flat = scores.detach().reshape(-1)
    threshold = torch.topk(flat, k, sorted=True).values[-1]
    above = flat > threshold
    ties = flat == threshold
    allowed = k - above.sum()
    return (above | (ties & (ties.cumsum(0) <= allowed))).view(scores.shape)
