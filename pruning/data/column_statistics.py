"""Column statistics of a data set: kinds of values, distinct values where they are few, and the same of the entries of lists.

Gathered by :mod:`pruning.data.column_profiler` while a data set arrives, and stored with it; read by
:mod:`pruning.data.column_checks` and by the API's answers. Torch-free.
"""

from pydantic import BaseModel, ConfigDict


class Seen(BaseModel):
    """Number of rows with a kind or value, and the first such row; rows count from 1."""

    model_config = ConfigDict(frozen=True)

    rows: int
    first: int


class Value(Seen):
    """A distinct value of a column."""

    value: str | int | float


class Lists(BaseModel):
    """The lists of a column, by their entries: the rows of a kind or value count entries."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Rows with a list."""
    other: int | None = None
    """The first row with an object, which is neither a list nor a plain value."""
    kinds: dict[str, Seen]
    values: tuple[Value, ...] | None


class Column(BaseModel):
    """One column of a split."""

    model_config = ConfigDict(frozen=True)

    name: str
    kinds: dict[str, Seen]
    """By ``text``, ``integer``, ``number``, ``boolean``, ``null``, ``other``."""
    values: tuple[Value, ...] | None
    """Every different text or number, in the order they first occur; None: too many, or a text too long for a label."""
    lists: Lists | None = None
    """Of a column with values of kind ``other``; None as well in what an earlier version stored."""
