"""Validation rows held out of a training split: which rows, how many, and the refusal where another split can be used.

A data set that has the training split alone is given a validation split from it: a share of each class, drawn from a fixed seed, so
that all jobs on a data set are measured on the same rows, independent of their own seeds. Called by :mod:`pruning.data.reader`, and
by the checks before a job is accepted. Torch-free.
"""

import math
import random
from collections.abc import Hashable, Sequence

from pruning.errors import PermanentError, SplitMissingError
from pruning.spec.tasks import Task

DEFAULT_SHARE = 0.1
MAX_ROWS = 5_000
"""Most rows held out: the standard error of an accuracy is then below 0.7 points, and evaluations stay short."""
_SEED = 20_221_013
_USUAL = ("validation", "valid", "val", "dev", "development", "eval", "test")
"""Names of splits to measure on, in the order in which they are proposed."""


def held_out_count(rows: int, share: float) -> int:
    """Rows held out of ``rows``: floor(share · rows), at least one and at most ``MAX_ROWS``."""
    return min(MAX_ROWS, max(1, math.floor(share * rows)))


def held_out_rows(rows: int, classes: Sequence[Hashable] | None, share: float) -> list[int]:
    """Numbers of the rows held out, ascending; ``classes`` is the class of each row, None where there are none.

    Each class gives its share, rounded by largest remainders (ties: the class that occurs first), and keeps at least one row
    to train on. Raises PermanentError (``rows_missing``) where no row can be spared.
    """
    groups: dict[Hashable, list[int]] = {}
    for number in range(rows):
        groups.setdefault(classes[number] if classes is not None else None, []).append(number)
    total = held_out_count(rows, share)
    quotas = {key: total * len(members) / rows for key, members in groups.items()}
    counts = {key: min(math.floor(quotas[key]), len(members) - 1) for key, members in groups.items()}
    by_remainder = sorted(groups, key=lambda key: counts[key] - quotas[key])
    for key in by_remainder:
        if sum(counts.values()) < total and counts[key] < len(groups[key]) - 1:
            counts[key] += 1
    if not any(counts.values()):
        raise PermanentError(
            "no row of the training split can be held out for validation without a class losing its only one; add rows, or a "
            "validation split",
            code="rows_missing",
            param="validation_share",
        )
    source = random.Random(_SEED)  # noqa: S311 - a sample, no secret
    return sorted(number for key, members in groups.items() for number in source.sample(members, counts[key]))


def default_share(task: Task, missing: SplitMissingError) -> float:
    """The share to hold out where a data set has none of the task's validation splits and no other split to measure on.

    Not in place of a split that the spec names: a slip in its name would go unnoticed. Raises ``missing`` again otherwise, with
    a split to name in place of the missing one.
    """
    others = sorted(set(missing.splits) - {task.train_split}, key=_usualness)
    by_default = task.validation_splits[0].startswith("validation")  # any other split was named in the spec
    if not others and by_default and task.train_split in missing.splits:
        return DEFAULT_SHARE
    if task.train_split not in missing.splits:
        raise missing
    no_other = not others or task.validation_splits[0] in others or len(task.validation_splits) > 1
    proposal = "" if no_other else f'; to measure on {others[0]}, give the task validation_split: "{others[0]}"'
    raise SplitMissingError(
        f"{missing.message}{proposal}, or hold rows of {task.train_split} out with validation_share: {DEFAULT_SHARE}",
        splits=missing.splits,
        param=missing.param,
    ) from missing


def _usualness(split: str) -> tuple[int, str]:
    name = split.lower()
    return (_USUAL.index(name) if name in _USUAL else len(_USUAL)), name
