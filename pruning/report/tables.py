"""Tables and figures of a page: a caption, what is drawn, and the same as a table for whoever cannot see it."""

from collections.abc import Sequence

from pruning.report.markup import Child, Html, join, tag


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
