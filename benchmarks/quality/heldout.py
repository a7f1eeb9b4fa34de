"""Held-out rows: rows of the training split that a run has not seen, written as the validation split of a data set.

The validation splits of GLUE are small (SST-2: 872 rows, a standard error of 1.4 points at 80 %); 3,000 unseen training rows
halve that. As files, so that a mask is evaluated on them by the code that evaluates it for a user.
"""

import json
from pathlib import Path

import numpy as np

from pruning.data.reader import load_rows
from pruning.sources import Sources
from pruning.spec.tasks import Task

ROWS = 3000
CALIBRATION = 2048
"""First rows of the training split, which recipes may read before the first step: never held out."""


def choose(train_rows: int, seen: set[int], count: int = ROWS) -> list[int]:
    """Up to ``count`` unseen rows; nearly the same ones for all seeds, for they are taken in one fixed random order."""
    order = np.random.default_rng(0).permutation(train_rows)
    return sorted([int(row) for row in order if row >= CALIBRATION and int(row) not in seen][:count])


def write(task: Task, sources: Sources, seen: set[int], folder: Path, count: int = ROWS) -> int:
    """Write them as ``folder/<task>/validation*.jsonl``; how many there are, 0 where the run saw them all."""
    rows = load_rows(task, task.train_split, sources)
    numbers = choose(len(rows.labels), seen, count)
    if not numbers:
        return 0
    target = folder / task.name
    target.mkdir(parents=True)
    lines = [
        {task.label: rows.labels[i], **{name: rows.texts[column][i] for column, name in enumerate(task.text)}} for i in numbers
    ]
    for split in task.validation_splits:
        (target / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return len(numbers)
