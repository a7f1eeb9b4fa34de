"""Parquet reader, by pyarrow, which is imported when the first such file comes."""

from collections.abc import Iterator
from typing import BinaryIO

from api.uploads.formats import Row, TooLargeError, UnknownFormatError, UnreadableFileError

_BATCH_ROWS = 1000
_BATCH_BYTES = 64 * 1024 * 1024


def read_parquet(file: BinaryIO, max_bytes: int) -> Iterator[Row | str]:
    """The rows of a file. Raises UnknownFormatError where pyarrow is missing; UnreadableFileError, TooLargeError."""
    try:
        import pyarrow  # 0.2 s and 100 MB on disk, which an image may lack
        from pyarrow import parquet
    except ImportError as missing:
        raise UnknownFormatError(
            "this service cannot read Parquet; send .jsonl or .csv, or install pyarrow"
        ) from missing
    try:
        table = parquet.ParquetFile(file)
        groups = [table.metadata.row_group(i) for i in range(table.metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > max_bytes:
            raise TooLargeError(f"the data set has more than {max_bytes} bytes when it is unpacked")
        # a few bytes of a dictionary may stand for a long text in every row, so batches are small enough for the widest column
        widest = max(
            (group.column(i).total_uncompressed_size for group in groups for i in range(group.num_columns)), default=1
        )
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, widest)))
        for batch in table.iter_batches(batch_size=rows):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as fault:
        raise UnreadableFileError(f"it is not Parquet, or damaged: {fault}") from fault
