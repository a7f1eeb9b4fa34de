"""Response bodies of data sets, built from rows while their session is open."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from api.schemas.base import Page
from api.uploads.isolation import columns_of
from pruning.data.column_statistics import Column, Value
from service.db import models

_MAX_VALUES = 20


def _few(values: Sequence[Value] | None) -> list[str | int | float] | None:
    return [found.value for found in values] if values is not None and len(values) <= _MAX_VALUES else None


def _holds(column: Column) -> Literal["words", "tags", "answers"] | None:
    lists, answers = column.lists, column.answers
    if column.kinds.keys() != {"other"}:
        return None
    if answers is not None and answers.rows == column.kinds["other"].rows and answers.malformed is None:
        return "answers"
    if lists is None or lists.other or lists.empty or lists.blank or lists.kinds.keys() != {"text"}:
        return None
    return "words" if lists.not_iob2 is not None else "tags"


class DatasetColumn(BaseModel):
    """A column of a split."""

    name: str
    kinds: dict[str, int] = Field(
        description="Rows by kind of value: text, integer, number, boolean, null, other", examples=[{"text": 800}]
    )
    values: list[str | int | float] | None = Field(
        description=f"The values that occur, in order of appearance; null where there are more than {_MAX_VALUES}"
    )
    entries: list[str | int | float] | None = Field(
        None, description=f"Statistics of the entries of its lists; null without lists, and for more than {_MAX_VALUES}"
    )

    holds: Literal["words", "tags", "answers"] | None = Field(
        None,
        description="Use of the nested values of a column: words or IOB2 tags (lists of texts), or "
        "answers in SQuAD's form; else null",
    )

    @classmethod
    def from_column(cls, column: Column) -> Self:
        return cls(
            name=column.name,
            kinds={kind: seen.rows for kind, seen in column.kinds.items()},
            values=_few(column.values),
            entries=_few(column.lists.values) if column.lists is not None and column.lists.rows else None,
            holds=_holds(column),
        )


class DatasetSplit(BaseModel):
    """A split of a data set."""

    name: str
    rows: int
    bytes: int = Field(description="Size as it is stored, compressed")
    columns: list[DatasetColumn]
    notes: list[str] = Field(
        default_factory=list,
        description="Decisions made while reading the file: its separator, columns that were left out or stored in another form",
        examples=[["cells are separated by semicolon"]],
    )


class Dataset(BaseModel):
    """An uploaded data set. It never changes."""

    id: str = Field(examples=["ds_5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f"], description="Id for a custom task's `dataset`")
    name: str | None
    sha256: str = Field(description="Hexadecimal digest of split names and rows, independent of the format of the files")
    splits: list[DatasetSplit]
    created_at: datetime

    @classmethod
    def from_row(cls, row: models.Dataset, read: Mapping[str, Any] | None = None) -> Self:
        """``read``: the splits of an upload just read; the same rows may have been stored from a file of another format."""
        splits = [
            DatasetSplit(
                name=name,
                rows=split["rows"],
                bytes=split["bytes"],
                columns=[DatasetColumn.from_column(column) for column in columns_of(split)],
                notes=(read or row.splits)[name].get("notes", []),
            )
            for name, split in sorted(row.splits.items())
        ]
        return cls(id=row.id, name=row.name, sha256=row.sha256, splits=splits, created_at=row.created_at)


class DatasetList(Page[Dataset]):
    """A page of data sets, newest first."""


class RowList(Page[dict[str, Any]]):
    """Some rows of a split, in order."""
