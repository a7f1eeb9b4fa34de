"""HTML that cannot be injected into: every string that is not markup already is escaped where it is put in."""

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
