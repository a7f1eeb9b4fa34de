"""Toy data sets that a tiny model learns: single-sentence, sentence-pair and question-answering rows, made from a seed.

The classes differ by single words, so score training on a frozen random encoder visibly improves.
"""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.toy_models import BAD, FILLERS, GOOD

ANCHORS = ("scene", "actor", "plot", "night")
"""A question names one of these; the words behind it in the context are the answer."""


def span_rows(count: int, seed: int, *, longest: int = 60) -> list[dict[str, Any]]:
    """Rows ``{question, context, answers}``; answers are one or two words, some contexts several windows long."""
    source = random.Random(seed)
    others = [word for word in FILLERS if word not in ANCHORS]
    rows = []
    for i in range(count):
        before = source.choices(others, k=source.randint(1, longest))
        place = source.choice(ANCHORS)
        words = source.choices((*GOOD, *BAD), k=source.randint(1, 2))
        context = " ".join([*before, place, *words, *source.choices(others, k=source.randint(1, 9))])
        answer = " ".join(words)
        start = len(" ".join([*before, place])) + 1
        rows.append(
            {
                "id": f"q{i}",
                "question": f"very {place}",
                "context": context,
                "answers": {"text": [answer, answer], "answer_start": [start, start]},
            }
        )
    return rows


def make_span_dataset(folder: Path, *, train: int = 64, validation: int = 24) -> Path:
    """A data set folder of ``squad``."""
    return write_splits(folder, {"train": span_rows(train, 1), "validation": span_rows(validation, 2)})


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Rows of a ``.jsonl`` file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def make_opinions(folder: Path, *, train: int = 256, validation: int = 96, seed: int = 1) -> Path:
    """``sst2`` rows: label 1 where the sentence has words of GOOD, 0 where it has words of BAD."""
    return write_splits(folder, {"train": opinions(train, seed), "validation": opinions(validation, seed + 1)})


def make_ratings(folder: Path, *, train: int = 128, validation: int = 48, seed: int = 1) -> Path:
    """``stsb`` rows: a number from 0 to 5 that grows with the share of GOOD words in two sentences."""
    return write_splits(folder, {"train": ratings(train, seed), "validation": ratings(validation, seed + 1)})


def opinions(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of :func:`make_opinions`; as many of one class as of the other."""
    source = random.Random(seed)
    rows = []
    for i in range(count):
        words = source.choices(FILLERS, k=source.randint(2, 12)) + source.choices((BAD, GOOD)[i % 2], k=3)
        source.shuffle(words)
        rows.append({"sentence": " ".join(words), "label": i % 2, "idx": i})
    return rows


def ratings(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of :func:`make_ratings`."""
    source = random.Random(seed)
    rows = []
    for i in range(count):
        good = source.randint(0, 5)
        words = source.choices(GOOD, k=good) + source.choices(BAD, k=5 - good) + source.choices(FILLERS, k=3)
        source.shuffle(words)
        rows.append({"sentence1": " ".join(words[:4]), "sentence2": " ".join(words[4:]), "label": float(good), "idx": i})
    return rows


def write_splits(folder: Path, splits: Mapping[str, Iterable[Mapping[str, Any]]]) -> Path:
    """A data set folder of ``<split>.jsonl`` files."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


TOPICS = ("praise", "blame", "night")


def topics(count: int, seed: int) -> list[dict[str, Any]]:
    """Multi-label rows: ``praise`` where the text has words of GOOD, ``blame`` for BAD, ``night`` for that word; any of them.

    ``topics`` is a list of names, ``ids`` the same as ids, and there is a column of 0 and 1 by each name.
    """
    source = random.Random(seed)
    others = [word for word in FILLERS if word != "night"]
    rows = []
    for _ in range(count):
        has = [source.random() < 0.5 for _ in TOPICS]
        words = source.choices(others, k=source.randint(2, 8))
        for present, group in zip(has, (GOOD, BAD, ("night",)), strict=True):
            words += source.choices(group, k=3) if present else []
        source.shuffle(words)
        ids = [index for index, present in enumerate(has) if present]
        columns = {name: int(present) for name, present in zip(TOPICS, has, strict=True)}
        rows.append({"text": " ".join(words), "topics": [TOPICS[index] for index in ids], "ids": ids, **columns})
    return rows


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of :func:`span_rows`, every third of which asks for what its context does not have, and has no answer."""
    rows = span_rows(count, seed, longest=30)
    for row in rows[::3]:
        row["context"] = " ".join(word for word in row["context"].split() if word not in (*GOOD, *BAD, *ANCHORS))
        row["answers"] = {"text": [], "answer_start": []}
    return rows
