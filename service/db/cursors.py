"""Page cursors of lists ordered by ``(created_at, id)``, newest first: a cursor names the position after a page's last row.

So pages neither repeat nor skip rows while rows come and go. Used by the lists of jobs and of sweeps.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, tuple_

from service.errors import InvalidCursorError
from service.ids import is_id


def encode(created_at: datetime, row_id: str) -> str:
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
