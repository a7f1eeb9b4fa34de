"""Answers of a span task, checked against their contexts. Torch-free.

Called by :mod:`pruning.data.local_check` before a job is accepted, and by :mod:`pruning.data.reader` in the trainer.
"""

from typing import Any

from pruning.errors import PermanentError


def check_answer(answer: Any, context: str, where: str, *, no_answers: bool = False) -> Any:
    """Refuse a row without a gold answer, or with one that is not in its context. Raises PermanentError (``rows_invalid``).

    ``where`` names the row. ``no_answers``: as in SQuAD v2 it may have none, and every answer is checked, not the first one alone.
    """
    if not (fits_context(answer, context) if no_answers else _is_in_context(answer, context)):
        raise answer_error(where, no_answers=no_answers)
    return answer


def answer_error(where: str, *, no_answers: bool, param: str = "task") -> PermanentError:
    """The error for a row whose answers do not fit its context."""
    number = "any number of answers" if no_answers else "at least one answer"
    which = "each of which occurs" if no_answers else "that stands"
    return PermanentError(
        f"{where}: answers must be {{text: [...], answer_start: [...]}} with {number} {which} in the context at its offset",
        code="rows_invalid",
        param=param,
    )


def is_answers(value: Any) -> bool:
    """Whether a value has SQuAD's form: equal numbers of texts (none of them empty) and character offsets, possibly zero."""
    texts = value.get("text") if isinstance(value, dict) else None
    starts = value.get("answer_start") if isinstance(value, dict) else None
    if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
        return False
    return all(isinstance(text, str) and text for text in texts) and all(type(start) is int and start >= 0 for start in starts)


def fits_context(value: Any, context: str) -> bool:
    """Whether a value has SQuAD's form and every answer occurs in the context at its offset."""
    return is_answers(value) and all(
        context[start : start + len(text)] == text for text, start in zip(value["text"], value["answer_start"], strict=True)
    )


def _is_in_context(answer: Any, context: str) -> bool:
    texts = answer.get("text") if isinstance(answer, dict) else None
    starts = answer.get("answer_start") if isinstance(answer, dict) else None
    if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts) > 0):
        return False
    if not all(isinstance(text, str) for text in texts) or type(starts[0]) is not int or starts[0] < 0:
        return False
    return bool(context[starts[0] : starts[0] + len(texts[0])] == texts[0])
