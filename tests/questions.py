"""Questions on texts, as SQuAD has them, that a toy can learn: which word stands behind the one asked for?"""

import json
import random
from pathlib import Path
from typing import Any

from tests import toys

PLACES = ("scene", "actor", "plot", "night")
"""A question names one of these; the words behind it in the context are the answer."""


def questions(count: int, seed: int, *, longest: int = 60) -> list[dict[str, Any]]:
    """Rows ``{question, context, answers}``; answers are one or two words, some contexts several windows long."""
    source = random.Random(seed)
    others = [word for word in toys.FILLERS if word not in PLACES]
    rows = []
    for i in range(count):
        before = source.choices(others, k=source.randint(1, longest))
        place = source.choice(PLACES)
        words = source.choices((*toys.GOOD, *toys.BAD), k=source.randint(1, 2))
        context = " ".join([*before, place, *words, *source.choices(others, k=source.randint(1, 9))])
        answer = " ".join(words)
        start = len(" ".join([*before, place])) + 1
        rows.append(
            {
                "id": f"q{i}", "question": f"very {place}", "context": context,
                "answers": {"text": [answer, answer], "answer_start": [start, start]},
            }
        )  # fmt: skip
    return rows


def make_questions(folder: Path, *, train: int = 64, validation: int = 24) -> Path:
    """A data set folder of ``squad``."""
    return toys.write_splits(folder, {"train": questions(train, 1), "validation": questions(validation, 2)})


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Rows of a ``.jsonl`` file."""
    return [json.loads(line) for line in file.read_text().splitlines()]
