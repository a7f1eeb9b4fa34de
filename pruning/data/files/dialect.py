"""CSV dialect detection: separator and blanks after it, from the first lines of a file.

Called by :mod:`pruning.data.files.csv`. An ambiguous separator is refused, not guessed: a wrong one turns a whole file into one
column, which is noticed much later.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pruning.data.files.formats import UnreadableFileError

SAMPLE_LINES = 50
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
"""What some spreadsheets write as a first line of its own."""


@dataclass(frozen=True)
class Dialect:
    """CSV dialect: how a line is split into cells."""

    separator: str
    skip_lines: int = 0
    """Lines before the names of the columns."""
    blanks: bool = False
    """Whether blanks after a separator belong to no cell."""

    def notes(self) -> list[str]:
        """Description of what differs from plain CSV."""
        found = []
        if self.separator != ",":
            found.append(f"cells are separated by {_SEPARATORS.get(self.separator, repr(self.separator))}")
        if self.blanks:
            found.append("blanks after separators are left out")
        return found


def detect_dialect(lines: Sequence[str]) -> Dialect:
    """The dialect of a file that begins with ``lines``.

    Raises UnreadableFileError when two separators are as likely."""
    skip = 0
    separator = ""
    if lines and (declared := _SEP_LINE.fullmatch(lines[0])):
        separator, skip = declared[1], 1
        if separator in '"\r\n':
            raise UnreadableFileError(f"its first line declares the separator {separator!r}, which cannot be one")
    sample = lines[skip:]
    separator = separator or _detect_separator(sample)
    return Dialect(separator, skip, _has_blanks(sample, separator))


def _detect_separator(lines: Sequence[str]) -> str:
    header = lines[0] if lines else ""
    widths = {separator: _widths(lines, separator) for separator in _SEPARATORS}
    found = [separator for separator in _SEPARATORS if widths[separator][:1] > [1]]
    if len(found) > 1:  # the separator of all lines, where another one only occurs in a name
        even = [separator for separator in found if len(set(widths[separator])) == 1]
        found = even or found
    if len(found) > 1:
        names = " and ".join(_SEPARATORS[separator] for separator in found)
        raise UnreadableFileError(
            f"its first line has {names}, and either could separate the columns ({header.strip()[:80]!r}); save it with commas, "
            "or write sep=; (or the separator that it is) into a line before"
        )
    return found[0] if found else ","


def _widths(lines: Sequence[str], separator: str) -> list[int]:
    """Cells of each record, the last of which the sample may have cut."""
    try:
        records = [len(cells) for cells in csv.reader(lines, delimiter=separator, skipinitialspace=True) if cells]
    except csv.Error:
        return []
    return records[:-1] if len(lines) >= SAMPLE_LINES else records


def _has_blanks(lines: Sequence[str], separator: str) -> bool:
    """Whether every name but the first follows a blank, or a quotation mark that opens a cell does."""
    if separator.isspace():
        return False
    try:
        records = list(csv.reader(lines, delimiter=separator))
    except csv.Error:
        return False
    names = records[0] if records else []
    spaced = len(names) > 1 and all(name.startswith(" ") for name in names[1:])
    return spaced or any(cell.startswith(' "') for cells in records for cell in cells[1:])
