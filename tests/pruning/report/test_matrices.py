"""Density and emptiness of matrices, counted by hand."""

import numpy as np

from pruning.report.matrices import kind_of, matrix_table


def test_density_and_what_is_empty() -> None:
    mask = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=bool)
    assert matrix_table({"encoder.layer.7.output.dense": mask}) == [
        {
            "path": "encoder.layer.7.output.dense", "kind": "output.dense", "layer": "7", "rows": 3, "columns": 4, "kept": 3,
            "density": 0.25, "empty_rows": 1, "empty_columns": 2,
        }
    ]  # fmt: skip


def test_kinds_are_what_stands_behind_the_last_number() -> None:
    assert kind_of("albert.encoder.groups.0.layers.3.attention.query") == "attention.query"
