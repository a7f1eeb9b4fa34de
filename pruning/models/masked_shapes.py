"""Masked matrices of a model folder, by path and shape, from the headers of its checkpoint; torch-free.

Called by the API for facts about a job before it runs: the size of its masks, and which matrices ``sparsity_by`` names.
"""

from pathlib import Path

from pruning.models.checkpoint_index import tensor_shapes
from pruning.models.checks import read_config
from pruning.models.encoder_tensors import masked_matrices


def masked_shapes(path: Path) -> dict[str, tuple[int, int]]:
    """Module path → (out, in), as a mask file names them, in the order of the paths, layer 2 before layer 10.

    Raises PermanentError as :func:`pruning.models.checks.check_model_folder` does; call that first.
    """
    found = masked_matrices(read_config(path), tensor_shapes(path))
    return dict(sorted(found.items(), key=lambda item: _by_number(item[0])))


def count_masked_weights(path: Path) -> int | None:
    """Weights that masks apply to; None where there are none. Raises as :func:`masked_shapes`."""
    return sum(rows * columns for rows, columns in masked_shapes(path).values()) or None


def _by_number(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in path.split(".")]
