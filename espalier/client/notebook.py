"""HTML of a resource in a notebook: a card of rows and links, and a small curve as inline SVG.

Called by ``_repr_html_`` of the response models. Everything that is given is escaped: names, errors and metadata are untrusted.
No script, no address but those of the links; colours are the notebook's own, so that it reads in light and dark.
"""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _EDGE = 360, 90, 4
"""Width and height of a curve, in pixels."""
_COLOURS = ("#3b82c4", "#d97a1e", "#4f9d5b")
"""Colours of the curves, in order; distinct from each other, and from a white and a black page."""
_MOST_POINTS = 400
"""Most points of a curve; more are not visible at this width."""

Points = Sequence[tuple[float, float]]


def card(title: str, rows: Mapping[str, str], links: Mapping[str, str], figure: str = "") -> str:
    """A table of names and texts under a title, then ``figure`` (HTML made here), then links by their words."""
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding-right:1em">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in rows.items()
        if text
    )
    table = f'<table style="color:inherit">{cells}</table>' if cells else ""
    anchors = " · ".join(
        f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(words)}</a>' for words, address in links.items()
    )
    parts = (f"<strong>{escape(title)}</strong>", table, figure, anchors)
    return "<div>" + "\n".join(filter(None, parts)) + "</div>"


def curves(series: Mapping[str, Points]) -> str:
    """Curves over one axis of steps, each drawn between its own least and largest value; empty where there are no two points.

    The legend has each curve's first and last value, so that nothing depends on colour alone.
    """
    drawn = {name: _thinned(points) for name, points in series.items() if len({x for x, _ in points}) > 1}
    if not drawn:
        return ""
    first = min(points[0][0] for points in drawn.values())
    last = max(points[-1][0] for points in drawn.values())
    lines, words = [], []
    for (name, points), colour in zip(drawn.items(), _COLOURS, strict=False):
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{_path(points, first, last)}"/>')
        legend = f"{name} {points[0][1]:.3g} → {points[-1][1]:.3g}"
        words.append(f'<span style="color:{colour}">■</span> {escape(legend)}')
    label = escape(f"{', '.join(drawn)} from step {first:g} to {last:g}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}"><path d="M0.5 0V{_HEIGHT - 0.5}H{_WIDTH}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.4"/>{"".join(lines)}</svg>\n<div>{" &nbsp; ".join(words)}</div>'
    )


def _path(points: Points, first: float, last: float) -> str:
    lowest, highest = min(y for _, y in points), max(y for _, y in points)
    spread = (highest - lowest) or 1.0
    width, height = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE
    return " ".join(
        f"{_EDGE + width * (x - first) / (last - first):.1f},{_EDGE + height * (highest - y) / spread:.1f}" for x, y in points
    )


def _thinned(points: Points) -> Points:
    """Every so many of the points, and the last."""
    every = -(-len(points) // _MOST_POINTS)
    return [*points[:-1:every], points[-1]]
