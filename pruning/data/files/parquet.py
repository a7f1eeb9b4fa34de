"""Parquet reader (pyarrow, imported when the first such file is read).

Sizes in a Parquet footer are not trusted: they bound the memory for a well-formed file, and the limits of the reading process do
for a malicious one.
"""

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO

from pruning.data.files.formats import MAX_COLUMNS, Row, RowFault, TooLargeError, UnknownFormatError, UnreadableFileError

_BATCH_ROWS = 1000
_BATCH_BYTES = 64 * 1024 * 1024
_EXACT_DIGITS = 15
"""Decimal digits that every floating-point number keeps."""

Convert = Callable[[Any], list[Any]]
"""Conversion of an Arrow array to the values that are stored."""


def read_parquet(file: BinaryIO, max_bytes: int, notes: list[str], only: Collection[str] = ()) -> Iterator[Row | RowFault]:
    """The rows of a file; columns that are neither text, number nor truth value become text or are left out, and named.

    Where the file has all columns of ``only``, it is these alone that are read.

    Raises UnknownFormatError where pyarrow is missing; UnreadableFileError, TooLargeError.
    """
    try:
        import pyarrow  # 0.2 s and 100 MB on disk, which an image may lack
        from pyarrow import parquet
    except ImportError as missing:
        raise UnknownFormatError("this service cannot read Parquet; send .jsonl or .csv, or install pyarrow") from missing
    try:
        # read when it is asked for: ahead of that Arrow reads all row groups into memory, in threads that call this ``file`` and
        # abort the process when it ends meanwhile
        table = parquet.ParquetFile(file, pre_buffer=False)
        # texts as a dictionary and numbers of its entries: as long a text in every row takes no more memory than one
        table = parquet.ParquetFile(file, pre_buffer=False, metadata=table.metadata, read_dictionary=_texts(table.schema_arrow))
        if table.metadata.num_columns > MAX_COLUMNS:
            raise UnreadableFileError(
                f"it has {table.metadata.num_columns} columns, and {MAX_COLUMNS} can be stored; leave out those that are not needed"
            )
        columns = _conversions(table.schema_arrow, notes)
        if only and columns.keys() >= set(only):
            columns = {name: columns[name] for name in only}
        rows = _rows_per_batch(table, max_bytes, columns)
        not_numbers: set[str] = set()
        for batch in table.iter_batches(batch_size=rows, columns=list(columns), use_threads=False):
            not_numbers.update(name for name in columns if _has_nan(batch.column(name)))
            for part in _parts(batch):
                values = [convert(_decoded(part.column(name))) for name, convert in columns.items()]
                for row in range(part.num_rows):
                    yield {name: listed[row] for name, listed in zip(columns, values, strict=True)}
        notes.extend(f"column {name[:100]!r}: what is not a number is stored as null" for name in sorted(not_numbers))
    except (pyarrow.ArrowException, OSError, ValueError) as fault:
        raise UnreadableFileError(f"it is not Parquet, or damaged: {fault}") from fault


def _texts(schema: Any) -> list[str]:
    """Columns that Arrow can read as dictionaries."""
    from pyarrow import types

    return [field.name for field in schema if types.is_string(field.type) or types.is_large_string(field.type)]


def _rows_per_batch(table: Any, max_bytes: int, columns: Collection[str]) -> int:
    """Rows that fit into memory together. A few bytes of a dictionary may stand for a long text in every row of a list."""
    from pyarrow import types

    groups = [table.metadata.row_group(i) for i in range(table.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > max_bytes:
        raise TooLargeError(f"the data set has more than {max_bytes} bytes when it is unpacked")
    dense = {field.name for field in table.schema_arrow if field.name in columns and not types.is_dictionary(field.type)}
    chunks = ([group.column(i) for i in range(group.num_columns)] for group in groups)
    sizes = (sum(one.total_uncompressed_size for one in each if _may_repeat(one, dense)) for each in chunks)
    widest = int(max(sizes, default=1))
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, widest)))


def _may_repeat(chunk: Any, dense: Collection[str]) -> bool:
    """Whether a chunk of bytes of a column may stand for more bytes in memory; numbers are as long as they are."""
    return chunk.path_in_schema.partition(".")[0] in dense and "BYTE_ARRAY" in chunk.physical_type


def _parts(batch: Any) -> Iterator[Any]:
    """A batch in parts whose texts fit into memory, by the longest of each column."""
    from pyarrow import compute, types

    longest = sum(
        compute.max(compute.binary_length(column.dictionary)).as_py() or 0
        for column in batch.columns
        if types.is_dictionary(column.type) and _is_text(column.type.value_type)
    )
    rows = max(1, _BATCH_BYTES // max(1, longest))
    yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _conversions(schema: Any, notes: list[str]) -> dict[str, Convert]:
    """How the values of each column are stored. Raises UnreadableFileError for two columns of one name."""
    found: dict[str, Convert] = {}
    for field in schema:
        if schema.names.count(field.name) > 1:
            raise UnreadableFileError(f"two columns are called {field.name[:100]!r}; rename one")
        stored = _conversion(field.type)
        if stored is None:
            notes.append(f"column {field.name[:100]!r} ({field.type}) is left out: it is neither text, number nor truth value")
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
    if _is_text(kind):
        return _as_listed, ""
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

    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return bool(_is_text(kind) or numbers or types.is_null(kind))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _all_plain(kind: Any) -> bool:
    """Whether lists and structs hold nothing but what JSON has."""
    from pyarrow import types

    if types.is_struct(kind):
        return all(_all_plain(kind.field(i).type) for i in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _all_plain(kind.value_type)
    return not types.is_nested(kind) and _is_plain(kind)


def _decoded(column: Any) -> Any:
    from pyarrow import types

    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def _as_listed(column: Any) -> list[Any]:
    return list(column.to_pylist())


def _as_plain(column: Any) -> list[Any]:
    return [_plain(value) for value in column.to_pylist()]


def _as_numbers(column: Any) -> list[Any]:
    return [None if value is None else float(value) for value in column.to_pylist()]


def _as_texts(column: Any) -> list[Any]:
    """Values cast to text by Arrow, because Python's dates have no nanoseconds."""
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
