"""Catalog routes: the tasks with their defaults, the pruning methods, and the JSON Schema of a job."""

from dataclasses import asdict

from fastapi import APIRouter

from api.errors.problems import problem_responses
from api.request.deps import ServicesDep
from api.schemas.catalog import Method, MethodList, Task, TaskList
from api.schemas.job_request import JobRequest
from pruning.hub.local import find_folder
from pruning.spec.methods import METHODS
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS, CustomTask

router = APIRouter(prefix="/v1", tags=["catalog"])


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
            label_words=list(task.label_words),
            labels=None if task.labels is None else list(task.labels),
            metrics=list(task.metrics),
            epochs=task.epochs,
            batch_size=task.batch_size,
            max_length=task.max_length,
            local=find_folder(services.settings.datasets_dir, task.name) is not None,
        )
        for task in TASKS.values()
    ]
    return TaskList(
        data=data, has_more=False, next_cursor=None, custom_task_schema=CustomTask.model_json_schema()
    )  # fmt: skip


@router.get("/methods", operation_id="listMethods", responses=problem_responses(), summary="The pruning methods")
def list_methods() -> MethodList:
    """The schema describes the body of ``POST /v1/jobs``."""
    default = PruningSpec.model_fields["method"].default
    data = [Method(**asdict(info), default=info.name == default) for info in METHODS.values()]
    return MethodList(
        data=data, has_more=False, next_cursor=None, spec_schema=JobRequest.model_json_schema()
    )  # fmt: skip
