"""Catalog routes: the available models, the tasks with their defaults, the pruning methods, and the JSON Schema of a job."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter

from api.errors.problems import problem_responses
from api.request.auth import Reader
from api.request.deps import ServicesDep
from api.request.paging import NumberCursor, page_size
from api.responses.routing import AuthenticatedRoute
from api.schemas.catalog import Method, MethodList, Model, ModelList, Task, TaskList
from api.schemas.job_request import JobRequest
from pruning.errors import PermanentError
from pruning.hub.local import find_folder, model_folders
from pruning.models.checks import MODEL_TYPES, read_model_type
from pruning.models.masked_shapes import count_masked_weights
from pruning.spec.custom_task import CustomTask
from pruning.spec.methods import METHODS
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS
from pruning.spec.verbalizer import first_words
from service import uploaded_models

router = APIRouter(prefix="/v1", tags=["catalog"])
own = APIRouter(prefix="/v1", tags=["catalog"], route_class=AuthenticatedRoute)
"""Fields that are hidden from other owners: names of folders on the service's disk."""


@router.get("/tasks", operation_id="listTasks", responses=problem_responses(), summary="The tasks known by name")
def list_tasks(services: ServicesDep) -> TaskList:
    """Every value is the default of the field of that name in a job's spec."""
    data = [
        Task(
            name=task.name,
            kind=task.kind,
            dataset=task.dataset,
            config=task.config,
            text=list(task.text),
            label=task.label,
            label_words=list(first_words(task.label_words)),
            labels=None if task.labels is None else list(task.labels),
            metrics=list(task.metrics),
            epochs=task.epochs,
            batch_size=task.batch_size,
            max_length=task.max_length,
            local=find_folder(services.settings.datasets_dir, task.name) is not None,
        )
        for task in TASKS.values()
    ]
    return TaskList(data=data, has_more=False, next_cursor=None, custom_task_schema=CustomTask.model_json_schema())


@own.get("/models", operation_id="listModels", responses=problem_responses(422), summary="The available models")
def list_models(
    services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("uploaded models")] = 20, after: NumberCursor = None
) -> ModelList:
    """Models in the service's models directory, by the name for a job's `model`, on the first page; and your uploaded ones, newest
    first. Where the hub may be used, any model there of one of the `model_types` can be named as well.
    """
    folders = model_folders(services.settings.models_dir) if after is None else []
    with services.database.read() as session:
        rows, cursor = uploaded_models.page(session, limit=limit, owner=caller.owner_filter, after=after)
    data = [*(_model(name, folder) for name, folder in folders), *map(Model.from_row, rows)]
    return ModelList(
        data=data,
        has_more=cursor is not None,
        next_cursor=str(cursor) if cursor is not None else None,
        hub=services.settings.hub_enabled,
        model_types=sorted(MODEL_TYPES),
    )


def _model(name: str, folder: Path) -> Model:
    try:
        model_type = read_model_type(folder)
        return Model(name=name, model_type=model_type, masked_weights=count_masked_weights(folder), problem=None)
    except PermanentError as refusal:
        return Model(name=name, model_type=None, masked_weights=None, problem=refusal.message)


@router.get("/methods", operation_id="listMethods", responses=problem_responses(), summary="The pruning methods")
def list_methods() -> MethodList:
    """The schema describes the body of ``POST /v1/jobs``."""
    default = PruningSpec.model_fields["method"].default
    data = [Method(**asdict(info), default=info.name == default) for info in METHODS.values()]
    return MethodList(data=data, has_more=False, next_cursor=None, spec_schema=JobRequest.model_json_schema())
