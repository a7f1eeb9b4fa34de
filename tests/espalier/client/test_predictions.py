"""Predictions of many rows, by both clients against the real API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from espalier import Client
from espalier.client.prediction_rows import RequestSize, TextColumns
from espalier.errors import ApiError, RowError, UnreachableError
from service.db.engine import Database
from tests.api.conftest import Jobs
from tests.espalier.predicting_service import predicting_service
from tests.espalier.sync_or_async import Kind, sync_or_async_client

both = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
def jobs(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Jobs]:
    (tmp_path / "espalier.db").write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{tmp_path}/espalier.db")
    yield Jobs(database, tmp_path)
    database.dispose()


def text_of(label: str) -> str:
    return label.rpartition(" ")[2]


@both
def test_rows_are_predicted_in_order_in_as_few_requests_as_the_service_takes(kind: Kind, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.succeeded()
    rows = [{"id": i, "sentence": f"text{i}"} for i in range(160)]
    with predicting_service(tmp_path, jobs) as url, sync_or_async_client(kind, url) as client:
        found = list(client.predict_rows(job, rows))
        alone = [client.predict(job, row["sentence"])[0] for row in rows[::40]]
    assert [(each.number, each.row) for each in found] == list(enumerate(rows, 1))
    assert [text_of(each.prediction.label) for each in found] == [row["sentence"] for row in rows]
    assert [text_of(each.label) for each in alone] == [text_of(each.prediction.label) for each in found[::40]]
    assert [[each.prediction.value for each in found].count(number) for number in range(3)] == [64, 64, 32]


@both
def test_a_service_that_takes_less_is_sent_less(kind: Kind, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.succeeded(task="squad")
    rows = [{"question": f"q{i}", "context": f"c{i}"} for i in range(50)]
    limits = {"predictions_max_texts": 7, "predictions_max_characters": 24}
    with predicting_service(tmp_path, jobs, **limits) as url, sync_or_async_client(kind, url) as client:
        found = list(client.predict_rows(job, iter(rows), texts_per_request=20))
    assert [text_of(each.prediction.label) for each in found] == [row["context"] for row in rows]


@both
def test_an_error_in_the_middle_names_the_row(kind: Kind, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.succeeded()
    rows = [{"sentence": "a" * 200 if i == 70 else "a"} for i in range(1, 161)]
    with predicting_service(tmp_path, jobs, predictions_max_characters=199) as url, sync_or_async_client(kind, url) as client:
        done = client.predict_rows(job, rows)
        with pytest.raises(ApiError, match="row 70: ") as refusal:
            for _ in done:
                pass
        assert refusal.value.code == "texts_too_long"
        broken = [{"sentence": "die" if i == 65 else "a"} for i in range(1, 81)]
        with sync_or_async_client(kind, url, retries=0) as hasty, pytest.raises(ApiError, match="rows 65 to 80: "):
            list(hasty.predict_rows(job, broken))


@both
def test_a_list_is_checked_before_the_first_request(kind: Kind, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.succeeded()
    bad = (
        ({"text": "a"}, "no column 'sentence'"),
        ({"sentence": 1}, "give a text"),
        ({"sentence": ["a", "b"]}, "give a text"),
        ({"sentence": "\ud800"}, "surrogate"),
    )
    with predicting_service(tmp_path, jobs) as url, sync_or_async_client(kind, url) as client:
        for row, words in bad:
            with pytest.raises(RowError, match=words) as refusal:
                next(iter(client.predict_rows(job, [*[{"sentence": "die"}] * 90, row])))
            assert (refusal.value.row, refusal.value.column) == (91, "sentence")


def test_columns_of_custom_tasks_and_words() -> None:
    words = TextColumns.from_task(["tokens"], "token-classification")
    assert words.text_of({"tokens": ["Ann", "ran"]}, 1).text == ["Ann", "ran"]
    assert words.text_of({"tokens": "Ann ran"}, 1).text == "Ann ran"
    for empty in ([], ["Ann", " "], " ", ["Ann", 1], None):
        with pytest.raises(RowError, match="words"):
            words.text_of({"tokens": empty}, 1)
    pair = TextColumns.from_task(["b", "a"], "classification")
    assert pair.text_of({"a": "1", "b": "2", "c": 3}, 1).text == ("2", "1")


def scripted(answers: list[httpx.Response | Exception]) -> Client:
    """A client of a service that says what it predicts on, and then gives these answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            spec = {"task": {"dataset": "d", "text": ["t"], "label": "l", "labels": ["x", "y"]}}
            return httpx.Response(200, json={"id": "job_1", "status": "succeeded", "spec": spec})
        result = answers.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return Client(transport=httpx.MockTransport(answer), retries=0)


def predicted(count: int) -> httpx.Response:
    return httpx.Response(200, json={"data": [{"value": 0, "label": "x", "probabilities": {"x": 1.0}}] * count})


def test_the_row_that_the_service_names_and_the_rows_of_a_lost_request() -> None:
    rows: list[dict[str, Any]] = [{"t": "a"}] * 5
    refusal = httpx.Response(422, json={"code": "text_shape", "detail": "no", "errors": [{"pointer": "/texts/1"}]})
    with pytest.raises(ApiError, match=r"^row 4: no"):
        list(scripted([predicted(2), refusal]).predict_rows("job_1", rows, texts_per_request=2))
    lost = scripted([predicted(2), httpx.ConnectError("gone")]).predict_rows("job_1", rows, texts_per_request=2)
    with pytest.raises(UnreachableError, match=r"^rows 3 to 4: "):
        list(lost)
    gone = httpx.Response(404, json={"code": "job_not_found", "detail": "there is no such job"})
    with pytest.raises(ApiError, match=r"^there is no such job"):
        list(scripted([gone]).predict_rows("job_1", rows))
    with pytest.raises(ValueError, match="0"):
        RequestSize(0)
