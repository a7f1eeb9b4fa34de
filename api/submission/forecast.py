"""Forecast of a job: its steps, the rows it will see, and the warnings that these give before it has run.

Called by the routes that submit, after :mod:`api.submission.admission` has let the job pass. What is not known before the hub was
asked is None; the trainer repeats the check with the numbers themselves.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from pruning.data.jsonl import dataset_folder_name, find_split, iter_given_rows
from pruning.data.step_count import expected_steps
from pruning.errors import PermanentError
from pruning.hub.local import find_folder
from pruning.models.masked_shapes import count_masked_weights
from pruning.quality.budget import check_budget
from pruning.spec.schema import PruningSpec
from service.db.models import RunWarning
from service.settings import Settings

_MOST_BYTES = 64 * 1024 * 1024
"""Of a local split whose rows are counted: about a second; beyond, they are not known."""


@dataclass(frozen=True)
class Forecast:
    """What can be said of a job before it runs."""

    steps: int | None
    """Optimizer steps; 0 for a method that does not train."""
    rows_per_step: int
    train_rows: int | None
    """Rows of the training split that the run draws from."""
    masked_weights: int | None
    warnings: list[RunWarning]

    baseline_steps: int | None = 0
    """Optimizer steps of the dense model; 0 without a baseline."""

    @property
    def rows_seen(self) -> int | None:
        """Rows that all steps together see."""
        return self.steps * self.rows_per_step if self.steps is not None else None


@dataclass(frozen=True)
class LocalFacts:
    """What the folders of the service say of a spec's model and data; the same for all jobs of a sweep."""

    train_rows: int | None
    masked_weights: int | None

    @classmethod
    def from_folders(cls, spec: PruningSpec, settings: Settings) -> Self:
        """Reads files: not to be called within a transaction."""
        folder = find_folder(settings.models_dir, spec.model)
        weights = count_masked_weights(folder) if folder is not None else None
        return cls(_local_rows(spec, settings), weights)


def forecast(spec: PruningSpec, facts: LocalFacts, uploaded_rows: int | None = None) -> Forecast:
    """``uploaded_rows``: of the training split of an uploaded data set, which ``admission.lock_uploads`` returns."""
    steps, train_rows = expected_steps(spec, uploaded_rows if uploaded_rows is not None else facts.train_rows)
    weights = facts.masked_weights
    warnings = [
        RunWarning(code=warning.code, message=warning.message, remedy=warning.remedy)
        for warning in check_budget(spec, steps, weights)
    ]
    rows = spec.batch_size * spec.gradient_accumulation
    return Forecast(steps, rows, train_rows, weights, warnings, baseline_steps=steps if spec.baseline else 0)


def _local_rows(spec: PruningSpec, settings: Settings) -> int | None:
    folder = find_folder(settings.datasets_dir, dataset_folder_name(spec.task))
    if folder is None:
        return None
    try:
        file = find_split(folder, spec.task_info.train_split)
        about = file.stat()
        return _count(file, about.st_mtime_ns, about.st_size) if about.st_size <= _MOST_BYTES else None
    except (PermanentError, OSError):  # admission has passed it; what has changed since, the trainer reports
        return None


@lru_cache(maxsize=64)  # a sweep posts the same data set many times
def _count(file: Path, _modified: int, _bytes: int) -> int:
    return sum(1 for _ in iter_given_rows(file))
