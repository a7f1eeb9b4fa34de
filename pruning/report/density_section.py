"""Section of the report page on density: heat maps of the kept weights by matrix and by attention head.

Called by :mod:`pruning.report.page`; ``templates/_density.html`` lays it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pruning.report.charts import Cell, heat_map
from pruning.report.figures import Figure, Table
from pruning.report.number_format import number, percent, round_up

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Density:
    """Maps on one scale; None where there is nothing to show."""

    by_matrix: Figure
    by_head: Figure | None
    """None: the architecture's heads cannot be located by shape."""
    asked: Table | None
    """Matrices with a density of their own; None: the spec has no ``sparsity_by``."""
    empty: Figure | None
    """None: no row and no column became empty."""


def density(numbers: Numbers) -> Density:
    """Density per matrix and per attention head on one scale, and what became empty."""
    matrices, heads = numbers["matrices"], numbers["heads"]
    top = min(1.0, round_up(max([row["density"] for row in (*matrices, *heads)], default=1)))
    return Density(_by_matrix(matrices, top), _by_head(heads, top), _by_pattern(matrices), _empty(matrices))


def _by_matrix(matrices: Sequence[Numbers], top: float) -> Figure:
    kinds, layers = _names(matrices, "kind"), _names(matrices, "layer")
    cells = {
        (kinds.index(row["kind"]), layers.index(row["layer"])): Cell(
            row["density"] / top,
            _share(row["density"]),
            f"{row['path']}: {number(row['kept'])} of {number(row['rows'] * row['columns'])} kept{_asked(row)}",
        )
        for row in matrices
    }
    chart = heat_map(
        "Density by matrix",
        f"{len(matrices)} matrices; the table has their values.",
        kinds,
        layers,
        cells,
        across="layer",
        scale=("0 %", percent(top)),
    )
    rows = [(row["path"], f"{row['rows']} × {row['columns']}", number(row["kept"]), percent(row["density"])) for row in matrices]
    return Figure("By matrix", chart, Table("Matrices", ("matrix", "shape", "kept", "density"), rows), wide=True)


def _by_pattern(matrices: Sequence[Numbers]) -> Table | None:
    """Requested and reached density of each matrix with a density of its own, and of the others together."""
    named = [row for row in matrices if row.get("density_asked") is not None]
    if not named:
        return None
    rows = [
        (row["path"], row["asked_by"], percent(row["density_asked"]), percent(row["density"]), number(row["kept"])) for row in named
    ]
    others = [row for row in matrices if row.get("density_asked") is None]
    if others:
        kept, size = sum(row["kept"] for row in others), sum(row["rows"] * row["columns"] for row in others)
        rows.append((f"{len(others)} others", "", "the others", percent(kept / size), number(kept)))
    return Table("Requested and reached density", ("matrix", "pattern", "asked", "got", "kept"), rows)


def _by_head(heads: Sequence[Numbers], top: float) -> Figure | None:
    if not heads:
        return None
    numbers = list(range(1 + max(row["head"] for row in heads)))
    layers = _names(heads, "layer")
    cells = {
        (row["head"], layers.index(row["layer"])): Cell(
            row["density"] / top,
            _share(row["density"]),
            f"layer {row['layer']}, head {row['head']}: "
            + ", ".join(f"{part} {percent(density)}" for part, density in row["parts"].items()),
        )
        for row in heads
    }
    chart = heat_map(
        "Density by attention head",
        f"{len(heads)} heads: query, key, value and output weights of each together.",
        [str(i) for i in numbers],
        layers,
        cells,
        across="layer",
        down="head",
        scale=("0 %", percent(top)),
    )
    parts = list(heads[0]["parts"])
    rows = [
        (f"layer {row['layer']}, head {row['head']}", percent(row["density"]), *(percent(row["parts"][part]) for part in parts))
        for row in heads
    ]
    alternative = Table("Attention heads", ("head", "density", *parts), rows)
    return Figure("By attention head: its query, key, value and output weights together", chart, alternative, wide=True)


def _empty(matrices: Sequence[Numbers]) -> Figure | None:
    gone = [row for row in matrices if row["empty_rows"] or row["empty_columns"]]
    if not gone:
        return None
    kinds, layers = _names(matrices, "kind"), _names(matrices, "layer")
    top = min(1.0, round_up(max(row["empty_rows"] / row["rows"] for row in matrices)))
    cells = {
        (kinds.index(row["kind"]), layers.index(row["layer"])): Cell(
            row["empty_rows"] / row["rows"] / top,
            number(row["empty_rows"]),
            f"{row['path']}: {row['empty_rows']} of {row['rows']} rows and {row['empty_columns']} of {row['columns']} "
            "columns are empty",
        )
        for row in matrices
    }
    chart = heat_map(
        "Empty rows",
        "Rows of each matrix without a kept weight; colours are shares of its rows.",
        kinds,
        layers,
        cells,
        across="layer",
        scale=("0 %", f"{percent(top)} of the rows"),
    )
    rows = [
        (
            row["path"],
            f"{number(row['empty_rows'])} of {number(row['rows'])}",
            f"{number(row['empty_columns'])} of {number(row['columns'])}",
        )
        for row in gone
    ]
    alternative = Table("Empty rows and columns", ("matrix", "empty rows", "empty columns"), rows)
    return Figure("Rows that became empty: outputs that are a constant now", chart, alternative, wide=True)


def _asked(row: Numbers) -> str:
    asked = row.get("density_asked")
    return "" if asked is None else f", {percent(asked)} asked by {row['asked_by']}"


def _share(density: float) -> str:
    value = 100 * density
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"


def _names(rows: Sequence[Numbers], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))
