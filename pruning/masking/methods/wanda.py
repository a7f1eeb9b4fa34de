"""Wanda (Sun et al., 2023): weight times input norm, compared within each output row, from a few batches and without training.

As a method of its own, and as a prior: the scores that another method starts with.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pruning.masking.methods.base import Calibration, Method, Ranking
from pruning.masking.topk import top_k_in_rows, top_k_of_rows
from pruning.masking.wrap import Matrices


class Wanda(Method):
    """Keeps the share v of every row with the largest |W_ij| ‖X_j‖₂ over the calibration rows.

    Where matrices have a sparsity of their own, rows of the others may keep one weight more than others of the same matrix.
    """

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        """Scores become the saliencies."""
        for path, saliency in saliencies(matrices, calibration).items():
            matrices.layers[path].scores.copy_(saliency)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """floor(v · in) ones in every row."""
        if matrices.own is not None:
            counts = matrices.own.counts(matrices.shapes, remaining, "row")
            for layer, count in zip(matrices.layers.values(), counts, strict=True):
                layer.set_mask(top_k_in_rows(layer.scores, count))
            return counts
        counts = []
        for layer in matrices.layers.values():
            layer.set_mask(top_k_of_rows(layer.scores, math.floor(remaining * layer.in_features)))
            counts.append(layer.kept)
        return counts


class WandaPrior(Method):
    """Another method, begun with S = strength · z(saliency): the standard scores within each matrix (the idea of MaskLLM's and
    LEAP's priors).

    Not of log saliencies: the upper tail decides at 3 %, and logarithms compress it. ``strength`` is in units of scores.
    """

    def __init__(self, method: Method, strength: float) -> None:
        self.method, self.strength = method, strength
        self.penalty_shift = method.penalty_shift

    @property
    def ranking(self) -> Ranking | None:
        """Ranking of the wrapped method."""
        return self.method.ranking

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        """Set the scores."""
        self.method.initialize(matrices, calibration)
        for path, saliency in saliencies(matrices, calibration).items():
            spread = saliency.std().clamp_min(1e-30)
            matrices.layers[path].scores.add_((saliency - saliency.mean()) / spread, alpha=self.strength)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Masks by the wrapped method."""
        return self.method.select(matrices, remaining, final=final)


def saliencies(matrices: Matrices, calibration: Calibration) -> dict[str, torch.Tensor]:
    """|W_ij| ‖X_j‖₂ by module path, [out, in]; X are the inputs of the layer at all tokens that are not padding."""
    squares = {path: torch.zeros(layer.in_features, dtype=torch.float64) for path, layer in matrices.layers.items()}
    with _watching(matrices, squares) as attended, torch.no_grad():
        for batch in calibration.batches:
            attended.clear()
            attended.append(batch["attention_mask"].bool())
            calibration.forward({name: tensor for name, tensor in batch.items() if name != "labels"})
    return {path: layer.base.abs() * squares[path].sqrt().to(layer.base) for path, layer in matrices.layers.items()}


@contextmanager
def _watching(matrices: Matrices, squares: dict[str, torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Add the squares of every layer's inputs; yields the list in which the current attention mask [B, S] is put."""
    attended: list[torch.Tensor] = []

    def watch(path: str) -> Any:
        def hook(_layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            tokens = inputs[0].detach()
            if tokens.shape[:-1] == attended[0].shape:  # [B, S, in]; layers that see one position see no padding
                tokens = tokens[attended[0]]
            squares[path] += tokens.reshape(-1, tokens.shape[-1]).double().square().sum(0).cpu()

        return hook

    handles = [layer.register_forward_pre_hook(watch(path)) for path, layer in matrices.layers.items()]
    try:
        yield attended
    finally:
        for handle in handles:
            handle.remove()
