"""Figures of a table of the quality benchmark: metric against remaining weights, and against seconds of training.

Called by the command ``table``. Colours, markers and style are those of the service's sweep figures. Equal rows give equal bytes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.responses.sweep_plot import COLOURS, MARKERS, STYLE
from benchmarks.quality.markdown import title
from benchmarks.quality.summary import Estimate, Group
from pruning.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR_OF = ("espalier", "smp-s", "magnitude", "movement", "full", "lora", "probe")
"""Recipes with a colour of their own; others take what is left."""


Draw = Callable[[Sequence["Axes"], Sequence[Group], dict[str, tuple[str, str]]], None]


def draw_shares(groups: Sequence[Group], file: Path) -> None:
    """Write the figure of metric against remaining weights as SVG. Raises OSError."""
    held_out = all(len(group.held_out()) == len(group.runs) for group in groups)
    _draw(groups, file, 1, lambda axes, groups, colours: _by_share(axes[0], groups, colours, held_out=held_out))


def draw_seconds(groups: Sequence[Group], file: Path) -> None:
    """Write the figure of metric against seconds of training as SVG, a panel for each sparsity. Raises OSError."""
    sparsities: list[float | None] = [*sorted({group.sparsity for group in groups if group.sparsity is not None})] or [None]

    def panels(axes: Sequence["Axes"], groups: Sequence[Group], colours: dict[str, tuple[str, str]]) -> None:
        for each, sparsity in zip(axes, sparsities, strict=True):
            _by_seconds(each, groups, colours, sparsity)

    _draw(groups, file, len(sparsities), panels)


def _draw(groups: Sequence[Group], file: Path, panels: int, fill: Draw) -> None:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = matplotlib.rcParams
    style.update(STYLE)
    figure = Figure(figsize=(2.2 + 4.2 * panels, 4.0), layout="constrained")
    canvas = FigureCanvasSVG(figure)
    every = list(figure.subplots(1, panels, squeeze=False, sharey=True)[0])
    fill(every, groups, _colours(groups))
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
        axes.set_axisbelow(True)
    figure.suptitle(title(groups[0].setting), x=0.01, ha="left", fontsize=10, fontweight="bold")
    handles = {label: handle for axes in every for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False, fontsize=8.5)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, ".drawing-") as draft:
        canvas.print_figure(str(draft), format="svg", metadata={"Date": None, "Creator": None})


def _colours(groups: Sequence[Group]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each recipe; the same for the same recipe in every figure, as far as the palette reaches."""
    found = {
        group.recipe: _COLOUR_OF.index(group.recipe.split("@")[0]) for group in groups if group.recipe.split("@")[0] in _COLOUR_OF
    }
    free = [number for number in range(len(COLOURS)) if number not in found.values()] or [len(COLOURS) - 1]
    others = dict.fromkeys(group.recipe for group in groups if group.recipe not in found)
    found |= {name: free[number % len(free)] for number, name in enumerate(others)}
    return {name: (COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]) for name, number in found.items()}


def _by_share(axes: "Axes", groups: Sequence[Group], colours: dict[str, tuple[str, str]], *, held_out: bool) -> None:
    rows = "held-out rows" if held_out else "validation rows"
    axes.set_title(f"{rows}, mean and standard error", loc="left", fontsize=9)
    axes.set_xlabel("remaining weights")
    axes.set_ylabel(groups[0].metric)
    shares = sorted({1 - group.sparsity for group in groups if group.sparsity is not None})
    for name, (colour, marker) in colours.items():
        points = []
        for group in groups:
            values = group.held_out() if held_out else group.validation()
            found = Estimate.from_values(list(values.values()))
            if group.recipe == name and found is not None:
                points.append((None if group.sparsity is None else 1 - group.sparsity, found))
        if points and points[0][0] is None:
            axes.axhline(points[0][1].mean, color=colour, linestyle="--", linewidth=1.3, label=name)
            continue
        ordered = sorted(points, key=lambda point: point[0] or 0.0)
        axes.errorbar(
            [share or 0.0 for share, _ in ordered],
            [found.mean for _, found in ordered],
            yerr=[found.error or 0.0 for _, found in ordered],
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.6,
            capsize=2,
            label=name,
        )
    if shares:
        if shares[-1] / shares[0] >= 3:
            axes.set_xscale("log")
        axes.set_xticks(shares, [f"{100 * share:.3g} %" for share in shares])
        axes.set_xticks([], minor=True)


def _by_seconds(axes: "Axes", groups: Sequence[Group], colours: dict[str, tuple[str, str]], sparsity: float | None) -> None:
    """The learning curves of the masks of one sparsity and of the dense rivals."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    at = "" if sparsity is None else f", masks at {100 * (1 - sparsity):.3g} % remaining"
    axes.set_title(f"validation rows{at}", loc="left", fontsize=9)
    axes.set_xlabel("seconds of training (processor time)")
    axes.set_ylabel(groups[0].metric)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for group in groups:
        if group.sparsity not in (None, sparsity):
            continue
        colour, marker = colours[group.recipe]
        curves = [row["curve"] for row in group.runs.values()]
        length = min(map(len, curves))
        x = [sum(curve[i][4] for curve in curves) / len(curves) for i in range(length)]
        y = [sum(curve[i][3] for curve in curves) / len(curves) for i in range(length)]
        dashed = "--" if group.sparsity is None else "-"
        axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.4, linestyle=dashed, label=group.recipe)
