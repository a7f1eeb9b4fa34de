"""Download of data sets from the Hugging Face hub by the ``datasets`` library, pinned to a commit; a split becomes plain columns.

Called by :mod:`pruning.data.reader` where the data sets directory does not have the task's folder.
"""

from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # exported under this name in every release

from pruning.errors import PermanentError
from pruning.hub.models import TIMEOUT_SECONDS, pruning_error_from
from pruning.spec.tasks import Task


def load_hub_split(task: Task, split: str, limit: int | None = None, token: str | None = None) -> dict[str, list[Any]]:
    """The task's columns of one split.

    Raises PermanentError or TemporaryError as :func:`pruning.hub.models.pruning_error_from` says.
    """
    from datasets import load_dataset  # 0.7 s that local data sets do not need

    try:
        # asked first: the library itself would retry an unreachable hub for 23 s
        commit = HfApi(token=token).dataset_info(task.dataset, timeout=TIMEOUT_SECONDS).sha
        rows = load_dataset(task.dataset, task.config, split=split, revision=commit, token=token)
    except (OSError, HfHubHTTPError, httpx.HTTPError) as fault:
        raise pruning_error_from(fault, "dataset", task.dataset, None) from fault
    except ValueError as fault:  # what the library raises for unknown configurations and splits
        raise PermanentError(
            f"data set {task.dataset!r} has no split {split!r} in configuration {task.config!r}: {fault}",
            code="split_missing", param="task",
        ) from fault  # fmt: skip
    names = (*task.text, task.label)
    absent = [name for name in names if name not in rows.column_names]
    if absent:
        raise PermanentError(
            f"data set {task.dataset!r} has no column {absent[0]!r}; it has {', '.join(rows.column_names)}",
            code="column_missing", param="task",
        )  # fmt: skip
    if limit is not None:
        rows = rows.select(range(min(limit, len(rows))))
    return {name: list(rows[name]) for name in names}
