"""Pages of lists: cursors of those ordered by ``(created_at, id)``, newest first, and the cap on the bytes of one page.

A cursor names the position after a page's last row, so pages neither repeat nor skip rows while rows come and go.

Rows hold data of users and trainers, so a number of rows alone does not bound a page: a hundred of 64 KiB are 6 MiB, a thousand 64.
A page that reaches PAGE_BYTES ends earlier, with the cursor of its last row. Rows are read a few at a time until then.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, tuple_

from service.errors import InvalidCursorError
from service.ids import is_id

PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of the documents in a page's rows; field names and other columns are not counted."""
T = TypeVar("T")


def encode_cursor(created_at: datetime, row_id: str) -> str:
    """The cursor of the rows after this one."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {row_id}".encode()).decode().rstrip("=")


def rows_after(text: str, prefix: str, created_at: Any, row_id: Any) -> ColumnElement[bool]:
    """Condition on the two columns: rows after the cursor ``text``, of a list whose ids begin with ``prefix``.

    Raises InvalidCursorError.
    """
    try:
        written, last_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(" ")
        last_at = datetime.fromisoformat(written)
    except (binascii.Error, ValueError) as error:
        raise InvalidCursorError from error
    if last_at.tzinfo != UTC or not is_id(last_id, prefix):
        raise InvalidCursorError
    return tuple_(created_at, row_id) < tuple_(last_at, last_id)


def json_bytes(*documents: Any) -> int:
    """Bytes of these documents as JSON."""
    return sum(len(json.dumps(document, default=str)) for document in documents)


def fill_page(batches: Iterable[Sequence[T]], size: Callable[[T], int], limit: int) -> tuple[list[T], bool]:
    """The first ``limit`` rows of ``batches`` within PAGE_BYTES, at least one, and whether any row comes after.

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
