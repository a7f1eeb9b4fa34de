"""Column statistics of a data set: kinds of values, distinct values where they are few, and the same of the entries of lists.

Gathered by :mod:`pruning.data.column_profiler` while a data set arrives, and stored with it; read by
:mod:`pruning.data.column_checks` and by the API's responses. Torch-free.
"""

from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict


class Seen(BaseModel):
    """Number of rows with a kind or value, and the first such row; rows count from 1."""

    model_config = ConfigDict(frozen=True)

    rows: int
    first: int


class Value(Seen):
    """A distinct value of a column."""

    value: str | int | float


class TagFault(BaseModel):
    """A tag that IOB2 does not allow at its position; row and position count from 1."""

    model_config = ConfigDict(frozen=True)

    row: int
    position: int
    fault: str


class Lists(BaseModel):
    """The lists of a column, by their entries: the rows of a kind or value count entries."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Rows with a list."""
    first: int | None = None
    """The first of them."""
    other: int | None = None
    """The first row with an object, which is neither a list nor a plain value."""
    empty: int | None = None
    """The first row whose list has no entries."""
    blank: int | None = None
    """The first row with an entry that is an empty text."""
    not_iob2: TagFault | None = None
    """Where the entries, read as tags, are not IOB2 for the first time; None as well where they are not all texts."""
    unequal: dict[str, int] = {}
    """Other columns of lists → the first row in which their lists have another length."""
    kinds: dict[str, Seen]
    values: tuple[Value, ...] | None


class Answers(BaseModel):
    """The objects of a column as answers in SQuAD's form."""

    model_config = ConfigDict(frozen=True)

    rows: int
    """Rows with an object."""
    none: int
    """Rows without an answer."""
    malformed: int | None = None
    """The first row whose object does not have SQuAD's form."""
    misplaced: dict[str, int] = {}
    """Text column → the first row in which an answer does not occur at its offset."""


class Column(BaseModel):
    """One column of a split."""

    model_config = ConfigDict(frozen=True)

    name: str
    kinds: dict[str, Seen]
    """Kind (``text``, ``integer``, ``number``, ``boolean``, ``null`` or ``other``) → rows with it."""
    values: tuple[Value, ...] | None
    """Every different text or number, in the order they first occur; None: too many, or a text too long for a label."""
    lists: Lists | None = None
    """Statistics of lists, for a column with values of kind ``other``; also None in statistics of an earlier version."""
    answers: Answers | None = None
    """Statistics of answers, for a column with objects; also None in statistics of an earlier version."""


def first_of(kinds: Mapping[str, Seen], wrong: Collection[str]) -> tuple[int, str] | None:
    """The first row with a value of a kind in ``wrong``, and that kind; None where there is none."""
    return min(((seen.first, kind) for kind, seen in kinds.items() if kind in wrong), default=None)


def first_other_than(kinds: Mapping[str, Seen], *right: str) -> tuple[int, str] | None:
    """The first row with a value of a kind that is not in ``right``, and that kind; None where there is none."""
    return first_of(kinds, kinds.keys() - {*right})


def first_without_list(column: Column) -> tuple[int, str] | None:
    """The first row of a column of lists with something else, and what; None where there is none."""
    plain = [found for found in (first_other_than(column.kinds, "other"),) if found is not None]
    if column.lists is not None and column.lists.other is not None:
        plain.append((column.lists.other, "an object"))
    return min(plain, default=None)
