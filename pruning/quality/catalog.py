"""Catalog of warnings: every code that ``warnings`` of a job may have, with its meaning and its remedy.

The one table of warnings, as ``api.errors.catalog`` is that of errors; ``docs/reference/errors.md`` is generated from both. A
warning never changes a job's state: its mask is the requested one, and may be useless. Codes do not change; new ones may
come.
"""

from typing import NamedTuple

from pruning.events import WarningEvent


class Entry(NamedTuple):
    """A warning code: meaning and remedy."""

    meaning: str
    remedy: str


_MORE = "raise `max_steps` or `epochs`, or `batch_size`; set `prior` to wanda if it is not set; or lower `sparsity`"
WARNINGS: dict[str, Entry] = {
    "budget_small": Entry(
        "The run is short for its sparsity: of runs like it, many end at chance.", f"Let it see more rows: {_MORE}."
    ),
    "baseline_at_chance": Entry(
        "The dense model, fine-tuned on the same rows, is not measurably better than the same prediction for every row either.",
        "The cause is not the sparsity: let the run see more rows, change `baseline_learning_rate`, or check the data and its "
        "labels.",
    ),
    "baseline_diverged": Entry(
        "Fine-tuning of the dense model met a loss or gradient that is not finite; there is no baseline. The mask is not affected.",
        "Submit again with a lower `baseline_learning_rate`.",
    ),
    "no_better_than_constant": Entry(
        "The final mask is not measurably better than the same prediction for every row.", f"Let it see more rows: {_MORE}."
    ),
    "predicts_one_class": Entry(
        "The final mask predicts one class for every validation row.", f"Do not use the mask. Let the run see more rows: {_MORE}."
    ),
    "predicts_one_value": Entry(
        "The final mask predicts the same number or answer for every validation row.",
        f"Do not use the mask. Let the run see more rows: {_MORE}.",
    ),
    "rows_skipped": Entry(
        "Rows that the task cannot use were skipped, as `on_bad_rows` asks for; the report has their numbers and reasons.",
        "Check the rows that it names; fix them, or the task, where they should have been used.",
    ),
    "scores_are_noise": Entry(
        "The result is at chance, and at the end of the run the gradients of the scores were noise: the scores were not learning.",
        f"Let it see more rows: {_MORE}; a larger `batch_size` makes gradients less noisy.",
    ),
}


def make_warning(code: str, message: str) -> WarningEvent:
    """A warning with the remedy of its code. Raises KeyError for a code that the catalog does not have."""
    return WarningEvent(code=code, message=message, remedy=WARNINGS[code].remedy)
