"""Admission of evaluations: what can be known of the rows before a job is accepted, and what is stored of it.

Called by the route of evaluations. Refusals are ``pruning.errors.PermanentError`` with the codes of the trainer, which repeats
these checks and makes those that need the hub.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy.orm import Session

from api.schemas.job_request import EvaluationRequest
from api.uploads.isolation import columns_of
from pruning.data.evaluation_checks import OTHER_SPLIT, check_local_rows, check_uploaded_rows
from pruning.data.jsonl import dataset_folder_name
from pruning.errors import PermanentError
from pruning.hub.local import find_folder, require_folder
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from service import datasets
from service.errors import DatasetNotFoundError
from service.ids import is_dataset_id
from service.settings import Settings


@dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation of the mask of a job, resolved."""

    spec: PruningSpec
    """Of the job, with the data set that is read in its task."""
    task: Task
    dataset: str
    """Id or name by which the data set is found."""
    rows: dict[str, Any]
    """The request, as it is stored with the job."""

    @classmethod
    def from_request(cls, spec: dict[str, Any], request: EvaluationRequest) -> Self:
        """Of a job with this ``spec``."""
        of_job = PruningSpec.from_record(spec)
        task = of_job.task_info
        rows = request.model_dump(mode="json", include={"dataset", "config", "split", "rows", "dense"})
        if request.dataset is None:
            return cls(of_job, task, dataset_folder_name(of_job.task), rows)
        rows["split"] = request.split or OTHER_SPLIT
        place = (request.dataset, request.config, rows["split"])
        return cls(of_job.on_dataset(*place), task.on_dataset(*place), request.dataset, rows)

    @property
    def split(self) -> str | None:
        """The split to be checked; None where the training has read the rows."""
        split: str | None = self.rows["split"]
        return split

    def check_folder(self, settings: Settings) -> None:
        """Refuse what a local folder does not have. Raises PermanentError naming ``dataset`` or ``split``."""
        if is_dataset_id(self.dataset):  # its rows are in the database
            return
        folder: Path | None = find_folder(settings.datasets_dir, self.dataset)
        if folder is None and not settings.hub_enabled:
            folder = require_folder(settings.datasets_dir, self.dataset, kind="dataset", param="dataset")
        if folder is not None and self.split is not None:
            check_local_rows(self.task, self.split, folder, self.rows["rows"])

    def lock_upload(self, session: Session, owner: str) -> None:
        """Refuse what an uploaded data set does not have, and lock it until the job is stored. Raises PermanentError."""
        if not is_dataset_id(self.dataset):
            return
        try:
            row = datasets.lock_for_reader(session, self.dataset, owner=owner)
        except DatasetNotFoundError as missing:
            raise PermanentError(str(missing), code="dataset_not_found", param="dataset") from missing
        if self.split is not None:
            check_uploaded_rows(self.task, self.split, {name: columns_of(split) for name, split in row.splits.items()})
