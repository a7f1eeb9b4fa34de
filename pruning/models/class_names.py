"""Matching of class names between a task and a fine-tuned classifier, the model's own or a teacher's.

Called by the admission check of a model folder and by the trainer, with the same answer. Torch-free. The order of the classes is
never relied on: two checkpoints for one task rarely agree on it.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from pruning.errors import PermanentError
from pruning.spec.wording import listed

_SEPARATOR = re.compile(r"(?<=[^\W_])[\s_\-]+(?=[^\W_])")
"""Between two letters or digits: ``not_entailment``, ``Not entailment`` and ``not-entailment_`` are one name. A leading minus,
``C++``, ``C#`` and ``.NET`` keep every sign."""
_FOLDS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: " ".join(name.split()).casefold(),
    lambda name: _SEPARATOR.sub(_join, name.strip(" _\t\n")).casefold(),
)
"""Exactly, then without case, then without separators."""


def match_classes(theirs: Sequence[str], ours: Sequence[str] | None, count: int, *, owner: str, param: str) -> list[int]:
    """Column of ``theirs`` for each of our ``count`` classes, by name.

    Equal names belong together; of the others those which differ in case, or in case and separators, alone, where no further name
    of either side is the same by that measure. Raises PermanentError (``labels_mismatch``) where the numbers differ, a name has no
    counterpart or several, or names carry no meaning (``LABEL_0``).
    """
    if len(theirs) != count:
        raise PermanentError(
            f"{owner} has {len(theirs)} classes ({listed(theirs, 5)}), the task has {count}; use one made for this task",
            code="labels_mismatch",
            param=param,
        )
    if count == 1:
        return [0]
    columns: dict[int, int] = {}
    for fold in _FOLDS:
        columns |= _matches(theirs, ours or (), fold, columns)
    if len(columns) < count:
        hint = "names its classes in teacher_labels" if param == "teacher" else "names them in its config's id2label"
        raise PermanentError(
            f"{owner} calls its classes {listed(theirs)}, the task {listed(ours or ('nothing',))}; "
            f"use one that has the task's classes, or a spec that {hint}",
            code="labels_mismatch",
            param=param,
        )
    return [columns[i] for i in range(count)]


def _matches(theirs: Sequence[str], ours: Sequence[str], fold: Callable[[str], str], known: dict[int, int]) -> dict[int, int]:
    """Our class → their column, of those not in ``known`` whose folded name is there once on either side."""
    folded = [fold(name) for name in theirs]
    wanted = [fold(name) for name in ours]
    counts, wanted_counts, taken = Counter(folded), Counter(wanted), set(known.values())
    found = {}
    for i, name in enumerate(wanted):
        if i not in known and counts[name] == wanted_counts[name] == 1 and folded.index(name) not in taken:
            found[i] = folded.index(name)
    return found


def _join(separator: re.Match[str]) -> str:
    """Nothing between words; between two digits a blank, so that 1-5 and 15 remain two names."""
    before, after = separator.string[separator.start() - 1], separator.string[separator.end()]
    return " " if before.isdigit() and after.isdigit() else ""
