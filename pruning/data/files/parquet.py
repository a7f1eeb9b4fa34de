"""Parquet reader, by pyarrow, which is imported when the first such file comes.

Sizes in a Parquet footer are the word of whoever wrote the file. They bound what is read of an honest one; of another one, the
limits of the process that reads do.
"""

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO

from pruning.data.files.formats import (
    MAX_COLUMNS,
    Row,
    RowFault,
    TooLargeError,
    UnknownFormatError,
    UnreadableFileError,
)

_BATCH_ROWS = 1000
_BATCH_BYTES = 64 * 1024 * 1024
_EXACT_DIGITS = 15
"""Decimal digits that every floating-point number keeps."""

Convert = Callable[[Any], list[Any]]
"""Of an Arrow array, to the values that are stored."""


def read_parquet(
    file: BinaryIO, max_bytes: int, notes: list[str], only: Collection[str] = ()
) -> Iterator[Row | RowFault]:
    """The rows of a file; columns that are neither text, number nor truth value become text or are left out, and named.

    Where the file has all columns of ``only``, it is these alone that are read.

    Raises UnknownFormatError where pyarrow is missing; UnreadableFileError, TooLargeError.
    """
    try:
        import pyarrow  # 0.2 s and 100 MB on disk, which an image may lack
        from pyarrow import parquet
    except ImportError as missing:
        raise UnknownFormatError(
            "this service cannot read Parquet; send .jsonl or .csv, or install pyarrow"
        ) from missing
    try:
        # read when it is asked for: ahead of that Arrow reads all row groups into memory, in threads that call this ``file`` and
        # abort the process when it ends meanwhile
        table = parquet.ParquetFile(file, pre_buffer=False)
        if table.metadata.num_columns > MAX_COLUMNS:
            raise UnreadableFileError(
                f"it has {table.metadata.num_columns} columns, and {MAX_COLUMNS} can be stored; leave out those that are not needed"
            )
        columns = _conversions(table.schema_arrow, notes)
        if only and columns.keys() >= set(only):
            columns = {name: columns[name] for name in only}
        rows = _rows_per_batch(table, max_bytes)
        not_numbers: set[str] = set()
        for batch in table.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
            values = [convert(batch.column(name)) for name, convert in columns.items()]
            not_numbers.update(name for name in columns if _has_nan(batch.column(name)))
            for row in range(batch.num_rows):
                yield {name: listed[row] for name, listed in zip(columns, values, strict=True)}
        notes.extend(f"column {name[:100]!r}: what is not a number is stored as null" for name in sorted(not_numbers))
    except (pyarrow.ArrowException, OSError, ValueError) as fault:
        raise UnreadableFileError(f"it is not Parquet, or damaged: {fault}") from fault


def _rows_per_batch(table: Any, max_bytes: int) -> int:
    """Rows that fit into memory together. A few bytes of a dictionary may stand for a long text in every row of every column."""
    groups = [table.metadata.row_group(i) for i in range(table.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > max_bytes:
        raise TooLargeError(f"the data set has more than {max_bytes} bytes when it is unpacked")
    widest = max(
        (sum(group.column(i).total_uncompressed_size for i in range(group.num_columns)) for group in groups), default=1
    )
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, widest)))


def _conversions(schema: Any, notes: list[str]) -> dict[str, Convert]:
    """How the values of each column are stored. Raises UnreadableFileError for two columns of one name."""
    found: dict[str, Convert] = {}
    for field in schema:
        if schema.names.count(field.name) > 1:
            raise UnreadableFileError(f"two columns are called {field.name[:100]!r}; rename one")
        stored = _conversion(field.type)
        if stored is None:
            notes.append(
                f"column {field.name[:100]!r} ({field.type}) is left out: it is neither text, number nor truth value"
            )
            continue
        convert, kind = stored
        if kind:
            notes.append(f"column {field.name[:100]!r} ({field.type}) is stored as {kind}")
        found[field.name] = convert
    return found


def _conversion(kind: Any) -> tuple[Convert, str] | None:
    """The conversion of a column's values and, where it changes them, what they become; None for a type that has none."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _conversion(kind.value_type)
    if types.is_decimal(kind):
        return (_as_numbers, "number") if kind.precision <= _EXACT_DIGITS else (_as_texts, "text")
    if types.is_temporal(kind):
        return (_as_texts, "text") if _has_text(kind) else None
    if types.is_nested(kind):
        return (_as_plain, "") if _all_plain(kind) else None
    return (_as_plain, "") if _is_plain(kind) else None


def _has_text(kind: Any) -> bool:
    import pyarrow

    try:
        _as_texts(pyarrow.array([0], kind))
    except (pyarrow.ArrowException, TypeError):  # intervals, and time zones that are not known here
        return False
    return True


def _is_plain(kind: Any) -> bool:
    from pyarrow import types

    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(
        texts or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)
    )


def _all_plain(kind: Any) -> bool:
    """Whether lists and structs hold nothing but what JSON has."""
    from pyarrow import types

    if types.is_struct(kind):
        return all(_all_plain(kind.field(i).type) for i in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _all_plain(kind.value_type)
    return not types.is_nested(kind) and _is_plain(kind)


def _as_plain(column: Any) -> list[Any]:
    return [_plain(value) for value in column.to_pylist()]


def _as_numbers(column: Any) -> list[Any]:
    return [None if value is None else float(value) for value in column.to_pylist()]


def _as_texts(column: Any) -> list[Any]:
    """By Arrow's own casts: Python's dates have no nanoseconds."""
    import pyarrow

    return list(column.cast(pyarrow.string()).to_pylist())


def _has_nan(column: Any) -> bool:
    from pyarrow import compute, types

    return types.is_floating(column.type) and compute.any(compute.is_nan(column)).as_py() is True


def _plain(value: Any) -> Any:
    """The value, with null in place of what is not a number."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value
