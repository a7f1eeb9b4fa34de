"""Query parameters of lists that are read page by page: how many entries, and where the page before ended."""

from typing import Annotated, Any

from fastapi import Query

MAX_INTEGER = 2**53
"""Every JSON reader represents it exactly."""
_BEFORE = "`next_cursor` of the page before"
TextCursor = Annotated[str | None, Query(max_length=200, description=_BEFORE)]
NumberCursor = Annotated[int | None, Query(ge=0, le=MAX_INTEGER, description=_BEFORE)]
RowCursor = Annotated[int, Query(ge=0, le=MAX_INTEGER, description=_BEFORE)]
"""Begins at 0."""


def page_size(entries: str, most: int = 100) -> Any:
    """The parameter ``limit`` of a list of ``entries``, 1 to ``most``."""
    return Query(ge=1, le=most, description=f"Largest number of {entries} returned")
