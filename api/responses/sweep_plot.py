"""Figure of a sweep or of compared jobs, as in the pruning papers: remaining weights across, metric up, one line per method.

Called by ``api.routes.sweep_results``, and by ``api.pages.compare`` with a panel for each task. Matplotlib is loaded with the first
figure: it costs memory, and most processes draw none. Figures are built without ``pyplot``, whose figures are global, and one at a
time: its text layout is not thread-safe. Equal panels give equal bytes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from itertools import cycle, groupby, pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Self

from pruning.spec.methods import METHODS
from service.sweeps.results import Mean, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["svg", "png"]
STYLE: dict[str, Any] = {
    "svg.hashsalt": "espalier",  # names of SVG elements are random otherwise
    "svg.fonttype": "none",  # text stays text: searchable, and escaped
    "text.parse_math": False,  # a $ in a model's name is literal
    "font.size": 10,
    "axes.titlesize": 11,
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4FC9", "#8C6D1F", "#666666")
"""Okabe and Ito's palette, which are distinct to colour-blind readers, and two more; each method always has the same one."""
MARKERS = "osD^vP*Xd"
_STYLES = {name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(METHODS)}
_LOG_RATIO = 3.0
"""From this ratio of the largest to the smallest share on, the axis is logarithmic."""
_NEAR = 1.2
_NEAR_LINEAR = 0.07
"""Labels of ticks nearer than this factor, or than this part of a linear axis, would touch."""
_DODGE = 7.0
"""Typographic points between the markers of equal results: a little more than a marker's width."""
MAX_FIGURES = (3, 2)
"""Requests for a figure at the same time, in all and of one owner; one is drawn, in 0.4 s, and the others wait for it."""
MAX_PANELS = 6
"""Most panels of a figure, which takes 0.4 s each to draw."""
_COLUMNS = 2
_CACHED_FIGURES = 64
"""Cached figures, by the state of their jobs; 50 to 100 KB per panel."""
_drawing = Lock()


@dataclass(frozen=True)
class Caption:
    """Texts of the figure, and its baseline."""

    title: str
    note: str
    """Note on the completeness of the figure."""
    baseline: float | None
    """Metric of the dense model as its user measured it; drawn instead of the dense model, zero-shot."""


@dataclass(frozen=True)
class Line:
    """Means at several sparsities, joined."""

    label: str
    method: str
    """Method, which determines colour and marker; another line of the same method and panel gets different ones."""
    means: tuple[Mean, ...]


@dataclass(frozen=True)
class Panel:
    """One pair of axes: lines that have one metric."""

    caption: Caption
    metric: str | None
    """None before a job has succeeded."""
    dense: float | None
    """The metric of the dense model, zero-shot."""
    lines: tuple[Line, ...]
    fine_tuned: float | None = None
    """The metric of the dense model, fine-tuned."""

    @classmethod
    def from_table(cls, table: Table, caption: Caption) -> Self:
        """The results of a sweep, a line for each method."""
        by_method = groupby(table.means, lambda mean: mean.method)
        return cls(
            caption,
            table.metric,
            table.dense,
            tuple(Line(method, method, (*means,)) for method, means in by_method),
            table.fine_tuned,
        )


@lru_cache(maxsize=_CACHED_FIGURES)  # clients that watch a sweep request the same figure repeatedly
def draw(panels: tuple[Panel, ...], kind: Kind, *, narrow: bool = False) -> bytes:
    """The figure, as an SVG document or a PNG file of 1400 × 900 pixels; several panels are placed two in a row.

    ``narrow``: for a phone, 840 pixels wide with texts as large as in the other, and panels one below the other.
    """
    with _drawing:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        style: Any = matplotlib.rcParams  # typed by the name of each key
        style.update(STYLE)
        columns = 1 if narrow else min(_COLUMNS, len(panels))
        rows = -(-len(panels) // columns)
        size = (7.0, 4.5) if len(panels) == 1 else (5.6 * columns, 4.0 * rows)
        if narrow:
            size = (4.2, 4.2 * rows)
        figure = Figure(figsize=size, dpi=200, layout="constrained")
        canvas = FigureCanvasSVG(figure) if kind == "svg" else FigureCanvasAgg(figure)
        for number, panel in enumerate(panels, 1):
            _compose(figure.add_subplot(rows, columns, number), panel, narrow=narrow)
        file = BytesIO()
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        canvas.print_figure(file, format=kind, metadata=metadata)
        return file.getvalue()


def share(mean: Mean) -> float:
    """Position of a mean on the axis: the share of weights that remains, as measured or else as requested."""
    return mean.remaining if mean.remaining is not None else 1.0 - mean.sparsity


def _compose(axes: "Axes", panel: Panel, *, narrow: bool) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_title(panel.caption.title, loc="left", fontweight="bold", pad=18)
    axes.text(0, 1.02, panel.caption.note, transform=axes.transAxes, color="#555555", fontsize=8.5)
    axes.set_xlabel("remaining weights")
    axes.set_ylabel((panel.metric or "metric").replace("_", " "))
    lines = [
        replace(line, means=(*sorted((mean for mean in line.means if mean.metric is not None), key=share),)) for line in panel.lines
    ]
    if not any(line.means for line in lines):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no job has succeeded yet", transform=axes.transAxes, ha="center", color="#555555")
        return
    offsets = _offsets([mean for line in lines for mean in line.means])
    styles = _line_styles(lines)
    for line, style in zip(lines, styles, strict=True):
        if line.means:
            _line(axes, line, style, [next(offsets) for _ in line.means])
    _dense(axes, panel)
    _shares(axes, sorted({round(1.0 - mean.sparsity, 4) for line in panel.lines for mean in line.means}), narrow=narrow)
    axes.margins(y=0.08)
    axes.legend(framealpha=0.85, edgecolor="none", fontsize=9, loc="best")


def _line_styles(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Colour and marker of each line: those of its method, or of another that this panel does not show."""
    named = {line.method for line in lines}
    spare = cycle([style for name, style in _STYLES.items() if name not in named] or [*_STYLES.values()])
    taken: set[str] = set()
    chosen = []
    for line in lines:
        is_first = line.method in _STYLES and line.method not in taken
        chosen.append(_STYLES[line.method] if is_first else next(spare))
        taken.add(line.method)
    return chosen


def _place(mean: Mean) -> tuple[float, float]:
    """Key of means whose markers would cover each other."""
    return round(share(mean), 3), round(mean.metric or 0.0, 3)


def _offsets(points: Sequence[Mean]) -> Iterator[float]:
    """Offset of the marker of each point, in typographic points: coinciding markers are drawn side by side."""
    groups = Counter(_place(mean) for mean in points)
    seen: Counter[tuple[float, float]] = Counter()
    for mean in points:
        place = _place(mean)
        yield (seen[place] - (groups[place] - 1) / 2) * _DODGE
        seen[place] += 1


def _line(axes: "Axes", line: Line, look: tuple[str, str], aside: Sequence[float]) -> None:
    """Means over the seeds; the band and the bars reach from the worst seed to the best. Equal points are drawn side by side."""
    colour, marker = look
    means = line.means
    x, y = [share(mean) for mean in means], [mean.metric or 0.0 for mean in means]
    low, high = [mean.lowest or 0.0 for mean in means], [mean.highest or 0.0 for mean in means]
    style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5.5, "clip_on": False, "zorder": 3}
    in_place = [number for number, offset in enumerate(aside) if not offset]
    axes.plot(x, y, linewidth=1.8, label=line.label, markevery=in_place, **style)
    for number, offset in enumerate(aside):
        if offset:
            moved = _aside(axes, offset)
            axes.plot(x[number : number + 1], y[number : number + 1], transform=moved, linestyle="", **style)
    if any(mean.runs > 1 for mean in means):
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
        axes.vlines(x, low, high, color=colour, linewidth=1.0, alpha=0.6)


def _aside(axes: "Axes", offset: float) -> Any:
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    return axes.transData + ScaledTranslation(offset / 72, 0, figure.dpi_scale_trans)


def _dense(axes: "Axes", panel: Panel) -> None:
    baseline = panel.caption.baseline
    value, label = (baseline, "dense") if baseline is not None else (panel.dense, "dense, zero-shot")
    if value is not None:
        axes.axhline(value, color="#333333", linestyle="--", linewidth=1.2, label=label, zorder=2)
    if panel.fine_tuned is not None:
        axes.axhline(panel.fine_tuned, color="#333333", linestyle=":", linewidth=1.6, label="dense, fine-tuned", zorder=2)


def _shares(axes: "Axes", ticks: list[float], *, narrow: bool) -> None:
    """A tick for every requested sparsity; labels that would touch are rotated."""
    logarithmic = ticks[0] > 0 and ticks[-1] / ticks[0] >= _LOG_RATIO
    if logarithmic:
        axes.set_xscale("log")
    wide = 2 if narrow else 1  # a label takes twice the part of an axis that is half as long
    crowded = any(
        second < first * _NEAR**wide if logarithmic else second - first < wide * _NEAR_LINEAR * (ticks[-1] - ticks[0])
        for first, second in pairwise(ticks)
    )
    turned: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks(ticks, [f"{100 * tick:.3g} %" for tick in ticks], **turned)
    axes.set_xticks([], minor=True)
