"""HTML elements, tables and figures, with every string escaped where it is put in.

Called by :mod:`pruning.report.charts` and the sections of the page.
"""

from collections.abc import Sequence
from html import escape


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


Child = str | Html | None


def tag(name: str, *children: Child, **attributes: str | float | None) -> Html:
    """An element. Strings among the children are escaped, Html is not, None is left out.

    Attributes: ``class_`` is ``class``, other underscores are hyphens, numbers lose needless digits, None is left out.
    """
    shown = "".join(
        f' {_attribute(key)}="{escape(_value(value))}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Several children as one."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def table(heading: Sequence[str], rows: Sequence[Sequence[Child]], *, label: str | None = None) -> Html:
    """Cells of the first column are row headings; the others are right-aligned by the style sheet."""
    top = tag("tr", *(tag("th", name, scope="col") for name in heading))
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows
    ]  # fmt: skip
    return tag(
        "div",
        tag("table", tag("thead", top), tag("tbody", *body), aria_label=label),
        class_="scroll", tabindex="0", role="region", aria_label=label or "table",
    )  # fmt: skip


def figure(caption: str, drawing: Html, alternative: Html | None = None, *, wide: bool = False) -> Html:
    """A drawing under its caption; the alternative can be opened below it."""
    shown = tag("details", tag("summary", "As a table"), alternative) if alternative is not None else None
    return tag("figure", tag("figcaption", caption), drawing, shown, class_="wide" if wide else None)


def section(title: str, anchor: str, *children: Child) -> Html:
    """A part of the page."""
    return tag("section", tag("h2", title, id=anchor), *children, aria_labelledby=anchor)


def paragraph(*children: Child, class_: str | None = None) -> Html:
    """Text."""
    return tag("p", join(*children), class_=class_)
