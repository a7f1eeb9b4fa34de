"""Class of the example method. Only the trainer imports this module, so it may import torch."""

import torch

from pruning.masking import allocation
from pruning.masking.methods.base import Calibration, LocalTopK
from pruning.masking.wrap import Matrices
from pruning.spec.schema import PruningSpec


class LeadingColumns(LocalTopK):
    """Scores fall from the first column to the last, so that the weights of the first inputs stay."""

    def __init__(self, spec: PruningSpec) -> None:
        self.sparsity = spec.sparsity

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        for layer in matrices.layers.values():
            rows, columns = layer.scores.shape
            layer.scores.copy_(torch.arange(columns, 0, -1, dtype=layer.scores.dtype).expand(rows, columns))

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        return allocation.uniform(matrices.sizes, remaining)
