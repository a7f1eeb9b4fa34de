"""Answers of a span task, checked against their contexts. Torch-free.

Called by :mod:`pruning.data.local_check` before a job is accepted, and by :mod:`pruning.data.reader` in the trainer.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pruning.errors import PermanentError


def check_answers(answers: Iterable[Any], contexts: Sequence[str], where: str) -> None:
    """Refuse rows without a gold answer, or with one that is not in its context. Raises PermanentError (``rows_invalid``)."""
    for i, answer in enumerate(answers):
        if not _is_in_context(answer, contexts[i]):
            raise PermanentError(
                f"row {i + 1} of {where}: answers must be {{text: [...], answer_start: [...]}} with at least one answer "
                "that stands in the context at its offset",
                code="rows_invalid", param="task",
            )  # fmt: skip


def _is_in_context(answer: Any, context: str) -> bool:
    texts = answer.get("text") if isinstance(answer, dict) else None
    starts = answer.get("answer_start") if isinstance(answer, dict) else None
    if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts) > 0):
        return False
    if not all(isinstance(text, str) for text in texts) or type(starts[0]) is not int or starts[0] < 0:
        return False
    return bool(context[starts[0] : starts[0] + len(texts[0])] == texts[0])
