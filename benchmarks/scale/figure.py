"""Figure of results of the scale benchmark: what share of the work was done, and how many workers a core of the database bears.

    python -m benchmarks.scale.figure --series before=FILE --series after=FILE,FILE --out docs/images/scale.svg

Several files of a series are repetitions: a line goes through their medians, and every measurement is a point. Colours and
style are those of the service's sweep figures.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.responses.sweep_plot import COLOURS, MARKERS, STYLE
from pruning.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = {
    "done_share": ("of the periodic actions of workers, done", 100.0, "%"),
    "workers_per_database_core": ("workers for each core that the database used", 1.0, "workers"),
}
Series = Mapping[str, Sequence[Mapping[str, Any]]]
"""By name, the measurements under load of all of its files."""


def main() -> None:
    """Read, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.figure")
    parser.add_argument("--series", action="append", required=True, metavar="NAME=FILE[,FILE]", help="a line of the figure")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    series = {}
    for given in arguments.series:
        name, _, files = given.partition("=")
        series[name] = [load for file in files.split(",") for load in json.loads(Path(file).read_text())["results"]["ramp"]]
    draw(series, arguments.out)


def draw(series: Series, file: Path) -> None:
    """Write the figure as SVG. Raises OSError."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = matplotlib.rcParams
    style.update(STYLE)
    figure = Figure(figsize=(9.4, 3.6), layout="constrained")
    canvas = FigureCanvasSVG(figure)
    for axes, quantity in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        _fill(axes, series, quantity)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8.5)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, ".drawing-") as draft:
        canvas.print_figure(str(draft), format="svg", metadata={"Date": None, "Creator": None})


def _fill(axes: "Axes", series: Series, quantity: str) -> None:
    title, scale, unit = _PANELS[quantity]
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_xlabel("simulated workers")
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for (name, loads), colour, marker in zip(series.items(), COLOURS, MARKERS, strict=False):
        points = sorted((load["workers"], scale * load[quantity]) for load in loads if load[quantity] is not None)
        axes.plot([count for count, _ in points], [value for _, value in points], marker, color=colour, markersize=3.5, alpha=0.5)
        counts = sorted({workers for workers, _ in points})
        medians = [statistics.median(value for workers, value in points if workers == count) for count in counts]
        axes.plot(counts, medians, marker=marker, markersize=5, color=colour, linewidth=1.6, label=name)
    axes.set_ylim(bottom=0)


if __name__ == "__main__":
    main()
