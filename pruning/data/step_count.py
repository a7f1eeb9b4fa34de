"""Number of optimizer steps of a run, and the refusal of a run that has too few or too many.

Called by :mod:`pruning.training.setup` with the rows as they are, and by the API at submission with what is known of them then.
"""

import math

from pruning.data.holdout import held_out_count
from pruning.errors import PermanentError
from pruning.spec.schema import PruningSpec

MAX_STEPS = 100_000_000
"""The bound of ``max_steps`` in the spec; integers of reports and of the database hold it."""
_HUB_ROWS = {
    "cola": 8_551,
    "mnli": 392_702,
    "mrpc": 3_668,
    "qnli": 104_743,
    "qqp": 363_846,
    "rte": 2_490,
    "sst2": 67_349,
    "stsb": 5_749,
    "wnli": 635,
    "squad": 87_599,
    "squad_v2": 130_319,
}
"""Training rows of the hub's data sets, by task."""


def count_steps(spec: PruningSpec, batches_per_epoch: int) -> int:
    """Optimizer steps of the whole run. Raises PermanentError when the ramp would have no step, or beyond ``MAX_STEPS``."""
    if spec.trains_nothing:
        return 0
    if spec.max_steps is not None:
        return spec.max_steps
    steps = max(1, math.floor((spec.epochs or 0) * batches_per_epoch / spec.gradient_accumulation))
    if steps * spec.ramp < 1:
        raise PermanentError(
            f"{spec.epochs} epochs are {steps} steps, too few for a ramp of {spec.ramp}; raise epochs or lower batch_size",
            code="schedule_too_short",
            param="epochs",
        )
    _require_countable(spec, steps)
    return steps


def check_step_count(spec: PruningSpec, rows: int | None = None) -> None:
    """Refuse a spec that has more than ``MAX_STEPS`` steps on ``rows`` training rows. Raises PermanentError.

    None: the rows that the hub's data set of a task has; nothing is known of any other. A row gives one input at least.
    """
    steps, _ = expected_steps(spec, rows)
    if spec.epochs is not None and steps is not None:
        _require_countable(spec, steps)


def expected_steps(spec: PruningSpec, rows: int | None = None) -> tuple[int | None, int | None]:
    """Optimizer steps of the run, and training rows that it draws from, as far as they are known before the data is read.

    ``rows`` as in :func:`check_step_count`. A row gives one input at least: on spans there may be more steps than this.
    """
    rows = rows if rows is not None else _HUB_ROWS.get(spec.task) if isinstance(spec.task, str) else None
    if rows is not None and spec.validation_share is not None:
        rows = max(1, rows - held_out_count(rows, spec.validation_share))
    used = min(rows, spec.train_rows or rows) if rows is not None else spec.train_rows
    if spec.trains_nothing:
        return 0, used
    if spec.max_steps is not None or spec.epochs is None:
        return spec.max_steps, used
    if rows is None or used is None:
        return None, used
    return max(1, math.floor(spec.epochs * math.ceil(used / spec.batch_size) / spec.gradient_accumulation)), used


def _require_countable(spec: PruningSpec, steps: int) -> None:
    if steps > MAX_STEPS:
        raise PermanentError(
            f"{spec.epochs} epochs are {steps} steps, and at most {MAX_STEPS} are possible; lower epochs, raise batch_size or "
            f"give max_steps",
            code="schedule_too_long",
            param="epochs",
        )
