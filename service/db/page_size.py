"""Size of documents as JSON, and the cap on the bytes of one page of a list.

Rows hold what users and trainers wrote, so a number of rows alone bounds no page: a hundred of 64 KiB are 6 MiB, a thousand 64.
A page that reaches PAGE_BYTES ends earlier, with the cursor of its last row. Rows are read a few at a time until then.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

PAGE_BYTES = 4 * 1024 * 1024
"""Of the documents in its rows; the names of fields and what else belongs to a row come on top."""
T = TypeVar("T")


def json_bytes(*documents: Any) -> int:
    """Bytes of these documents as JSON."""
    return sum(len(json.dumps(document, default=str)) for document in documents)


def fill_page(batches: Iterable[Sequence[T]], size: Callable[[T], int], limit: int) -> tuple[list[T], bool]:
    """The first ``limit`` rows of ``batches`` that PAGE_BYTES have room for, at least one, and whether any row comes after.

    ``size`` gives the bytes of a row. No batch is read beyond the one that has the next row.
    """
    page: list[T] = []
    total = 0
    for batch in batches:
        for row in batch:
            total += size(row)
            if page and (len(page) == limit or total > PAGE_BYTES):
                return page, True
            page.append(row)
    return page, False
