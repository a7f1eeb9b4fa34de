"""Prediction route: predictions for texts with the mask of a job that has succeeded."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from api.errors.problems import problem_responses
from api.predictions.service import WEIGHTS
from api.request.auth import Reader
from api.request.deps import JobId, ServicesDep
from api.responses.routing import AuthenticatedRoute
from api.schemas.predictions import Prediction, PredictionList, PredictionRequest
from api.submission.finished_masks import require_mask
from pruning.errors import PermanentError
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from service import uploaded_models
from service.artifacts import store
from service.ids import is_model_id
from service.jobs import queries
from service.settings import Settings

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["predictions"], route_class=AuthenticatedRoute)


@router.post(
    "/predictions",
    operation_id="predict",
    responses=problem_responses(400, 404, 409, 413, 415, 422, 501),
    summary="Predict with a finished job",
)
def predict(job_id: JobId, request: PredictionRequest, services: ServicesDep, caller: Reader) -> PredictionList:
    """Uses the job's mask on its base model. The first request after a while waits until the model is loaded.

    409 unless the job has succeeded; 404 where its uploaded model was deleted, until the same files are uploaded again; 501 with
    a remedy where this service cannot predict; 503 while too many wait.
    """
    with services.database.read() as session:
        job = queries.get(session, job_id, owner=caller.owner_filter)
        services.predictions.require_enabled()
        mask = require_mask(session, job, "predictions")
        task = PruningSpec.from_record(job.spec).task_info
        model_id = job.spec["model"] if is_model_id(job.spec["model"]) else None
        if model_id is not None:
            uploaded_models.get(session, model_id)  # a cached copy outlives it
        artifacts = {artifact.name: artifact for artifact in store.list_for_job(session, job_id)}
    texts, pairs = _split_columns(request.texts, task, services.settings)
    predictions = services.predictions.predict(mask, artifacts.get(WEIGHTS), texts, pairs, caller.owner, model_id)
    return PredictionList(job_id=job_id, task=task.name, data=[Prediction.model_validate(row) for row in predictions])


def _split_columns(given: Sequence[Any], task: Task, settings: Settings) -> tuple[list[Any], list[str] | None]:
    """Texts or lists of words, and for tasks on two columns the second texts. Raises PermanentError naming the one at fault."""
    if len(given) > settings.predictions_max_texts:
        raise _refused("texts", "too_many_texts", f"at most {settings.predictions_max_texts} texts at a time; send the rest after")
    rows = [_row(text, task, i) for i, text in enumerate(given)]
    if sum(len(text) for row in rows for text in row) > settings.predictions_max_characters:
        most = settings.predictions_max_characters
        raise _refused("texts", "texts_too_long", f"the texts have more than {most} characters together; send fewer")
    if task.kind == "token-classification":
        return [text if isinstance(text, str) else list(row) for text, row in zip(given, rows, strict=True)], None
    firsts, *seconds = zip(*rows, strict=True)
    return list(firsts), list(seconds[0]) if seconds else None


def _row(text: Any, task: Task, number: int) -> tuple[str, ...]:
    row = (text,) if isinstance(text, str) else tuple(text) if isinstance(text, list) else ()
    tagging = task.kind == "token-classification"
    fits = all(isinstance(part, str) and (part.strip() or not tagging) for part in row)
    if not fits or (len(row) != len(task.text) and not (tagging and row)):
        what = "words, or a text that has some," if tagging else "a text" if len(task.text) == 1 else "a pair of texts"
        raise _refused(f"texts.{number}", "text_shape", f"task {task.name} reads {what} at a time: {', '.join(task.text)}")
    if any("\ud800" <= letter <= "\udfff" for part in row for letter in part):
        # JSON can write half a surrogate pair, which tokenizers cannot read
        raise _refused(f"texts.{number}", "text_not_unicode", "the text has half a surrogate pair in it; send Unicode")
    return row


def _refused(param: str, code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param=param)
