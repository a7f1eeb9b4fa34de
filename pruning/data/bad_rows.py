"""Rows that a task cannot use: refused at the first one, or skipped, counted by reason and remembered by number.

Which rows these are is decided by data and task alone, so that a resumed run, every device and every reader of the split skip the
same ones. Called by :mod:`pruning.data.reader`, by the readers of files, by :mod:`pruning.data.encoding`, and by
:mod:`pruning.data.local_check` before a job is accepted. Torch-free.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pruning.errors import PermanentError

Reason = Literal[
    "unreadable",
    "column_missing",
    "text_invalid",
    "label_missing",
    "label_invalid",
    "label_mixed",
    "words_invalid",
    "tags_invalid",
    "tag_unknown",
    "answers_invalid",
    "no_tokens",
]
MEANINGS: dict[Reason, str] = {
    "unreadable": "no readable row",
    "column_missing": "a column of the task is missing",
    "text_invalid": "a text is missing, or is not a string",
    "label_missing": "no label",
    "label_invalid": "a label that the task does not have",
    "label_mixed": "a label of another type (text, number, truth value) than in most rows",
    "words_invalid": "no list of words",
    "tags_invalid": "no list of one IOB2 tag per word",
    "tag_unknown": "a tag that the task does not have",
    "answers_invalid": "no answer, or one that does not occur in the context at its offset",
    "no_tokens": "no token",
}
NAMED_ROWS = 1000
"""Most row numbers per reason in ``report.json``."""
_LOGGED_ROWS = 20
"""Most row numbers per reason in a message."""
_T = TypeVar("_T")


@dataclass
class BadRows:
    """The rows of one split that do not fit, of those that were read."""

    where: str
    """The split, as messages name it."""
    limit: float | None = None
    """Largest share of the rows that may be skipped; None: the first bad row is refused."""
    read: int = 0
    """Rows read, bad ones among them."""
    rows: dict[Reason, list[int]] = field(default_factory=dict)
    """Numbers of the skipped rows, from 1 in the split as it is given, by reason."""
    examples: dict[Reason, str] = field(default_factory=dict)
    """Message about the first row of each reason."""
    _first: PermanentError | None = None

    @property
    def count(self) -> int:
        """Rows skipped; each has one reason, the first that was found."""
        return sum(map(len, self.rows.values()))

    def reject(self, number: int, reason: Reason, fault: PermanentError) -> None:
        """Skip row ``number``, or raise ``fault`` where bad rows are refused."""
        if self.limit is None:
            raise fault
        self.rows.setdefault(reason, []).append(number)
        self.examples.setdefault(reason, fault.message)
        self._first = self._first or fault.with_traceback(None)  # its frames would keep the split in memory

    def fitting(
        self, numbers: Sequence[int], reason: Reason | Callable[[int], Reason], check: Callable[[int, str], _T]
    ) -> tuple[list[int], list[_T]]:
        """Positions of the rows that ``check(position, where)`` lets pass, and what it returns for them.

        It raises PermanentError for a bad one. ``numbers`` are the rows' numbers; ``reason`` may depend on the position.
        """
        kept, found = [], []
        for position, number in enumerate(numbers):
            try:
                found.append(check(position, f"row {number} of {self.where}"))
            except PermanentError as fault:
                self.reject(number, reason if isinstance(reason, str) else reason(position), fault)
            else:
                kept.append(position)
        return kept, found

    def require_few(self) -> None:
        """Raise PermanentError where more rows were skipped than the limit allows (``too_many_bad_rows``), or all of them."""
        if self.limit is None or not self.count:
            return
        if self.count >= self.read and self._first is not None:  # the task is wrong, not its rows
            raise self._first
        if self.count > self.limit * self.read:
            raise PermanentError(
                f"{self.where}: {self.count:,} of {self.read:,} rows cannot be used ({self.count / self.read:.2%}), and "
                f"bad_rows_limit lets {self.limit:.4g} of them be skipped; {self.described(3)}. Fix the rows or the "
                "task, or raise bad_rows_limit",
                code="too_many_bad_rows",
                param="bad_rows_limit",
            )

    def described(self, most: int = _LOGGED_ROWS) -> str:
        """Every reason with its count, the first ``most`` row numbers, and the message about the first."""
        parts = []
        for reason, rows in self.rows.items():
            more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
            numbers = ", ".join(map(str, rows[:most]))
            parts.append(f"{MEANINGS[reason]} ({len(rows):,}: row {numbers}{more}; {self.examples[reason]:.300})")
        return "; ".join(parts)

    def numbers(self) -> dict[str, Any]:
        """For the report: how many rows were read and skipped, and by reason the count, the first rows and an example."""
        return {
            "rows": self.read,
            "skipped": self.count,
            "limit": self.limit,
            "reasons": [
                {
                    "reason": reason,
                    "meaning": MEANINGS[reason],
                    "count": len(rows),
                    "rows": rows[:NAMED_ROWS],
                    "example": self.examples[reason][:500],
                }
                for reason, rows in self.rows.items()
            ],
        }
