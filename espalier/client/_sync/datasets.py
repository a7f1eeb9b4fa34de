# made by `python -m scripts.unasync` from espalier/client/_async/datasets.py; change that file, not this one
"""Data set calls of ``Client``: upload, list, read rows, delete."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from espalier.client._sync.http import Http
from espalier.client.models import Dataset
from espalier.client.resource import resource_path


class DatasetCalls:
    """Methods of ``Client`` for data sets. Every one raises ApiError or UnreachableError."""

    _http: Http

    def upload_dataset(
        self, *, name: str | None = None, report: Callable[[int, int], None] | None = None, **splits: str | Path
    ) -> Dataset:
        """Upload a file per split, ``train=…, validation=…``; a custom task names the data set by its ``id``.

        Files are .jsonl, .csv (both also .gz) or .parquet. The same rows again are the same data set. ``report`` is
        called with the bytes sent so far and the bytes of all files; the service then reads the rows. Raises OSError for a file
        that cannot be read.
        """
        files = {split: Path(file) for split, file in splits.items()}
        fields = {"name": name} if name is not None else {}
        return Dataset.model_validate(self._http.upload("/v1/datasets", files, fields, report))

    def dataset(self, dataset: Dataset | str) -> Dataset:
        """The data set of that id."""
        return Dataset.model_validate(self._http.request("GET", _path(dataset)))

    def datasets(self) -> Iterator[Dataset]:
        """All uploaded data sets, newest first, page after page."""
        for row in self._http.rows("/v1/datasets"):
            yield Dataset.model_validate(row)

    def dataset_rows(self, dataset: Dataset | str, split: str = "train", limit: int = 10) -> list[dict[str, Any]]:
        """The first rows of a split, at most 100."""
        query = {"split": split, "limit": limit}
        page = self._http.page(f"{_path(dataset)}/rows", query)
        return list(page["data"])

    def delete_dataset(self, dataset: Dataset | str) -> None:
        """Delete an uploaded data set; refused while a job that has not ended reads it."""
        self._http.request("DELETE", _path(dataset))


def _path(dataset: Dataset | str) -> str:
    return resource_path("datasets", dataset)
