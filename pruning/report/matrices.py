"""Density of each masked matrix, and the rows and columns that became empty. Called by :mod:`pruning.report.collect`.

A row of a matrix that is empty gives a constant (its bias); a column that is empty reads nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pruning.report.heads import layer_of


def matrix_table(masks: Mapping[str, npt.NDArray[np.bool_]]) -> list[dict[str, Any]]:
    """One row per matrix, in the order of ``masks`` (module path → bool [out, in]).

    ``path``, ``kind`` (the path behind the layer's number), ``layer``, ``rows``, ``columns``, ``kept``, ``density``,
    ``empty_rows``, ``empty_columns``.
    """
    table = []
    for path, mask in masks.items():
        kept = int(mask.sum())
        table.append(
            {
                "path": path, "kind": kind_of(path), "layer": layer_of(path), "rows": mask.shape[0],
                "columns": mask.shape[1], "kept": kept, "density": kept / mask.size,
                "empty_rows": int((~mask.any(axis=1)).sum()), "empty_columns": int((~mask.any(axis=0)).sum()),
            }
        )  # fmt: skip
    return table


def kind_of(path: str) -> str:
    """``bert.encoder.layer.3.attention.self.query`` → ``attention.self.query``."""
    parts = path.split(".")
    last = max(i for i, part in enumerate(parts) if part.isdigit())
    return ".".join(parts[last + 1 :])
