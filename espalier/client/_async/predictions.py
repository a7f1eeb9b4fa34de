"""Prediction calls of ``AsyncClient``: with the mask of a job that has succeeded, for a few texts or any number of rows."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from espalier.client._async.http import Http
from espalier.client.models import Job, Prediction, PredictionList, Task
from espalier.client.prediction_rows import (
    LIMIT_CODES,
    MAX_TEXTS,
    NumberedText,
    PredictedRow,
    RequestSize,
    Row,
    TextColumns,
    with_rows,
)
from espalier.client.resource import Text, list_of_texts, resource_path
from espalier.errors import ApiError, UnreachableError


class PredictionCalls:
    """Methods of ``AsyncClient`` for predictions. Every one raises ApiError or UnreachableError."""

    _http: Http

    async def predict(self, job: Job | str, texts: str | Sequence[Text]) -> list[Prediction]:
        """Predictions of a job that has succeeded: for texts, for pairs of texts where the task has two columns, or for texts or
        lists of words where it tags words.

        One ``str`` is one text. Raises TypeError for anything else.
        """
        path = f"{resource_path('jobs', job)}/predictions"
        response = await self._http.request("POST", path, json={"texts": list_of_texts(texts)})
        return PredictionList.model_validate(response).data

    async def text_columns(self, job: Job | str) -> TextColumns:
        """The columns that the job's task reads. Raises RowError where the service does not list them."""
        seen = Job.model_validate(await self._http.request("GET", resource_path("jobs", job)))
        is_custom = isinstance(seen.spec.get("task"), dict)
        tasks = [] if is_custom else [Task.model_validate(row) async for row in self._http.rows("/v1/tasks")]
        return TextColumns.from_job(seen, tasks)

    async def predict_rows(
        self, job: Job | str, rows: Iterable[Row], *, texts_per_request: int = MAX_TEXTS
    ) -> AsyncIterator[PredictedRow]:
        """Predictions of any number of rows, which have the text columns of the job's task, in their order: ``number`` (from 1),
        ``row`` and ``prediction`` of each.

        Requests are of at most ``texts_per_request`` rows and 100 000 characters, and of fewer where the service takes fewer. Of a
        list every row is checked before the first request, of an iterator each before it is sent. Raises RowError naming row and
        column; an ApiError or UnreachableError names the row or the rows at fault.
        """
        columns = await self.text_columns(job)
        if isinstance(rows, Sequence):
            for number, row in enumerate(rows, 1):
                columns.text_of(row, number)
        texts: Iterator[NumberedText] = (columns.text_of(row, number) for number, row in enumerate(rows, 1))
        size = RequestSize(texts_per_request)
        for whole in size.batches(texts):
            waiting = [whole]
            while waiting:
                batch = waiting.pop(0)
                try:
                    found = await self.predict(job, [each.text for each in batch])
                except ApiError as error:
                    if error.code not in LIMIT_CODES or len(batch) == 1:
                        raise with_rows(error, batch) from error
                    size.shrink(batch, error.code)
                    waiting = [*size.batches(batch), *waiting]
                    continue
                except UnreachableError as error:
                    raise with_rows(error, batch) from error
                for each, prediction in zip(batch, found, strict=True):
                    yield PredictedRow(each.number, each.row, prediction)
