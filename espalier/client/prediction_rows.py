"""Rows to predict on: their text columns, checked, and cut into requests.

Called by the clients' ``predict_rows`` and by ``espalier predict --file``, which checks a whole file before the first request.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from espalier.client.models import Job, Prediction, Task
from espalier.client.resource import Text
from espalier.errors import ApiError, RowError, UnreachableError

MAX_TEXTS, MAX_CHARACTERS = 64, 100_000
"""Rows of a request; the service's default."""
LIMIT_CODES = frozenset({"too_many_texts", "texts_too_long"})
"""Error codes of a request that is too large."""
_OF_THE_JOB = frozenset({401, 403, 404, 409, 501})
"""Statuses of a first request that would refuse any row."""
_WORDS = "token-classification"
Row = Mapping[str, Any]


class NumberedText(NamedTuple):
    """A row with its number, from 1, and the part that is sent."""

    number: int
    row: Row
    text: Text

    @property
    def characters(self) -> int:
        return sum(map(len, (self.text,) if isinstance(self.text, str) else self.text))


class PredictedRow(NamedTuple):
    """A row as it was given, its number from 1, and its prediction."""

    number: int
    row: Row
    prediction: Prediction


@dataclass(frozen=True)
class TextColumns:
    """The columns that a task reads, in the order in which its texts are sent."""

    names: tuple[str, ...]
    takes_words: bool
    """Whether a row may have a list of words in place of a text."""

    @classmethod
    def from_task(cls, names: Iterable[str], kind: str) -> "TextColumns":
        """Columns of a task, from its ``text`` columns and its ``kind``."""
        return cls(tuple(names), kind == _WORDS)

    @classmethod
    def from_job(cls, job: Job, tasks: Iterable[Task]) -> "TextColumns":
        """Columns of a job's task; ``tasks`` is the service's catalog. Raises RowError for a task that is not in it."""
        task = job.spec.get("task")
        if isinstance(task, Mapping):
            return cls.from_task(task.get("text", ()), str(task.get("kind", "classification")))
        known = next((each for each in tasks if each.name == task and each.text), None)
        if known is None:
            raise RowError(f"the service does not say which columns task {task} reads; predict on texts instead")
        return cls.from_task(known.text, known.kind)

    def text_of(self, row: Row, number: int) -> NumberedText:
        """The part of a row that is sent. Raises RowError naming the row and its column."""
        for name in self.names:
            if name not in row:
                has = ", ".join(map(str, row)) or "none"
                raise RowError(f"row {number} has no column {name!r}, which the task reads; it has {has}", number, name)
            self._check(row[name], number, name)
        texts = tuple(row[name] for name in self.names)
        return NumberedText(number, row, texts[0] if len(texts) == 1 else texts)

    def _check(self, value: Any, number: int, name: str) -> None:
        are_words = isinstance(value, list) and value and all(isinstance(word, str) and word.strip() for word in value)
        if any(map(_is_half_a_character, value if are_words else [value])):
            raise RowError(f"row {number} has half a surrogate pair in column {name!r}; give Unicode", number, name)
        is_text = isinstance(value, str) and (value.strip() or not self.takes_words)
        if not (is_text or (self.takes_words and are_words)):
            wanted = "words, or a text that has some" if self.takes_words else "a text"
            raise RowError(f"row {number} has {value!r:.60} in column {name!r}; give {wanted}", number, name)


def _is_half_a_character(text: Any) -> bool:
    """Whether a text holds half a surrogate pair, which JSON can express and UTF-8 cannot."""
    return isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text)


@dataclass
class RequestSize:
    """Limits of one request, lowered when the service refuses larger ones."""

    texts: int = MAX_TEXTS
    characters: int = MAX_CHARACTERS

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise ValueError(f"a request has at least one text, not {self.texts}")

    def batches(self, rows: Iterable[NumberedText]) -> Iterator[list[NumberedText]]:
        """The rows in order, in groups that fit; a text that fits in none is alone, so that its refusal names it."""
        batch: list[NumberedText] = []
        characters = 0
        for row in rows:
            if batch and (len(batch) >= self.texts or characters + row.characters > self.characters):
                yield batch
                batch, characters = [], 0
            batch.append(row)
            characters += row.characters
        if batch:
            yield batch

    def shrink(self, batch: list[NumberedText], code: str) -> None:
        """Halve the limit that ``batch`` exceeded."""
        if code == "too_many_texts":
            self.texts = len(batch) // 2
        else:
            self.characters = sum(row.characters for row in batch) // 2


def with_rows(error: ApiError | UnreachableError, batch: list[NumberedText]) -> ApiError | UnreachableError:
    """A copy of the error that names the refused row, or else the rows of the request."""
    first, last = batch[0].number, batch[-1].number
    if first == 1 and isinstance(error, ApiError) and error.status in _OF_THE_JOB:
        return error
    rows = f"row {first}" if first == last else f"rows {first} to {last}"
    if isinstance(error, UnreachableError):
        return UnreachableError(f"{rows}: {error}")
    _, _, place = (error.param or "").partition("texts.")
    if place.isdecimal() and int(place) < len(batch):
        rows = f"row {batch[int(place)].number}"
    return ApiError(error.status, code=error.code, detail=f"{rows}: {error.detail}", problem=error.problem)
