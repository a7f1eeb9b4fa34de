"""Pattern 2:4: of every four neighbours in a row at most two stay, as sparse tensor cores want it.

Any method but those whose sparsity emerges can have it: the method says by what weights are compared.
"""

import math

import torch

from pruning.errors import PermanentError
from pruning.masking.methods.base import Calibration, Method
from pruning.masking.topk import top_k_of_rows
from pruning.masking.wrap import Matrices


class TwoFour(Method):
    """Another method with its weights compared in fours: the ramp goes from 4 to 3 to 2 of 4 as the share to keep falls.

    A matrix whose own sparsity is 0 stays dense; the others cannot make up for it.
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self.penalty_shift = method.penalty_shift

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        """Raises PermanentError if a matrix that is not to stay dense has rows that fours do not fill."""
        odd = [path for path, layer in matrices.layers.items() if layer.in_features % 4 and not _is_dense(matrices, path)]
        if odd:
            raise PermanentError(
                f"pattern 2:4 needs rows of a multiple of four weights, {odd[0]} has "
                f"{matrices.layers[odd[0]].in_features}; use pattern unstructured, or leave it dense by sparsity_by",
                code="pattern_unfit",
                param="pattern",
            )
        self.method.initialize(matrices, calibration)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Exactly 2 of 4 once ``remaining`` has come down to a half."""
        of_four = min(4, max(2, math.ceil(4 * remaining - 1e-9)))
        counts = []
        for path, layer in matrices.layers.items():
            if _is_dense(matrices, path):
                layer.set_mask(torch.ones_like(layer.base, dtype=torch.bool))
                counts.append(layer.base.numel())
            else:
                layer.set_mask(top_k_of_rows(self.method.saliency(layer), of_four, group=4))
                counts.append(layer.base.numel() // 4 * of_four)
        return counts


def _is_dense(matrices: Matrices, path: str) -> bool:
    return matrices.own is not None and matrices.own.by_path.get(path) == 0
