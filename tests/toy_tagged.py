"""Toy rows of token classification: words with IOB2 tags by a small grammar that a tiny model learns."""

import random
from typing import Any

from tests.toy_models import FILLERS

_OTHERS, _JOY, _WOE = FILLERS[:-8], FILLERS[-8:-4], FILLERS[-4:]


def tagged(count: int, seed: int, *, longest: int = 8) -> list[dict[str, Any]]:
    """Rows ``{words, tags, ids}``: some words begin a ``JOY`` and others are inside of one, and so for ``WOE``; others are
    outside.

    ``ids`` are positions in ``TAGS``.
    """
    source = random.Random(seed)
    rows = []
    for _ in range(count):
        words, tags = [], []
        for _ in range(source.randint(1, 3)):
            before = source.choices(_OTHERS, k=source.randint(1, max(1, longest // 3)))
            kind, group = source.choice((("JOY", _JOY), ("WOE", _WOE)))
            inside = [source.choice(group[:2]), *source.choices(group[2:], k=source.randint(0, 2))]
            words += [*before, *inside]
            tags += ["O"] * len(before) + [f"B-{kind}"] + [f"I-{kind}"] * (len(inside) - 1)
        rows.append({"words": words, "tags": tags, "ids": [TAGS.index(tag) for tag in tags]})
    return rows


TAGS = ("O", "B-JOY", "I-JOY", "B-WOE", "I-WOE")
