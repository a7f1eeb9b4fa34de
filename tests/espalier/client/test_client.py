"""The client against scripted responses: requests, parsing, errors, retries."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from espalier.client._sync import http
from espalier.client._sync import jobs as jobs_module
from espalier.client._sync.client import Client
from espalier.errors import ApiError, JobNotSucceededError, NotEspalierError, UnreachableError

Handler = Callable[[httpx.Request], httpx.Response]


def job(**fields: Any) -> dict[str, Any]:
    return {"id": "job_1", "status": "queued", "attempt": 0, "spec": {"model": "toy"}, **fields}


def talking(handler: Handler, url: str = "http://service.test/") -> Client:
    return Client(url, transport=httpx.MockTransport(handler))


def script(*answers: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """A handler that returns the responses one after the other, the last one repeatedly."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler, asked


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "POLL_SECONDS", (0.001, 0.001))
    monkeypatch.setattr(http, "PAUSE_SECONDS", (0.001, 0.001))


def test_submit_posts_the_fields_and_keeps_unknown_ones() -> None:
    handler, asked = script(httpx.Response(202, json=job(colour="green")))
    submitted = talking(handler).submit(model="toy", task="sst2", metadata={"team": "a"})
    assert (asked[0].method, asked[0].url.path) == ("POST", "/v1/jobs")
    assert asked[0].read() == b'{"model":"toy","task":"sst2","metadata":{"team":"a"}}'
    assert submitted.model_extra == {"colour": "green"}


def test_a_key_is_sent_when_there_is_one() -> None:
    handler, asked = script(httpx.Response(200, json=job()))
    Client("http://service.test", "esp_secret", transport=httpx.MockTransport(handler)).get("job_1")
    assert asked[0].headers["Authorization"] == "Bearer esp_secret"


def test_a_problem_becomes_an_error_that_names_the_field() -> None:
    problem = {"title": "Bad spec", "detail": "unknown task 'x'", "code": "unknown_task", "param": "task", "status": 422}
    with pytest.raises(ApiError) as refusal:
        talking(script(httpx.Response(422, json=problem))[0]).submit(model="toy", task="x")
    error = refusal.value
    assert (error.status, error.code, error.param, str(error)) == (422, "unknown_task", "task", "task: unknown task 'x'")


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"[]"])
def test_an_error_without_a_problem_document_is_readable(body: bytes) -> None:
    with pytest.raises(ApiError, match="502") as refusal:
        talking(script(httpx.Response(502, content=body))[0]).get("job_1")
    assert refusal.value.code == "http_502"


def test_a_transport_error_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match=r"service\.test"):
        talking(script(httpx.ConnectError("refused"))[0]).submit(model="toy", task="sst2")


def test_watch_yields_changes_up_to_the_end_and_survives_a_restart() -> None:
    running = job(status="running", progress={"step": 1, "total_steps": 2, "eta_seconds": 1.0})
    handler, asked = script(
        httpx.Response(200, json=job()),
        httpx.Response(200, json=job()),
        httpx.ConnectError("restarting"),
        httpx.Response(503, json={"code": "database_unavailable", "detail": "soon"}),
        httpx.Response(200, json=running),
        httpx.Response(200, json=job(status="succeeded")),
    )
    assert [seen.status for seen in talking(handler).watch("job_1")] == ["queued", "running", "succeeded"]
    assert len(asked) == 6


def test_watch_gives_up_after_its_patience() -> None:
    handler, asked = script(httpx.ConnectError("gone"))
    with pytest.raises(UnreachableError):
        list(talking(handler).watch("job_1", patience=0.01))
    assert len(asked) > 1


def test_watch_does_not_wait_for_a_job_that_is_not_there() -> None:
    handler, asked = script(httpx.Response(404, json={"code": "job_not_found", "detail": "There is no job job_1."}))
    with pytest.raises(ApiError) as refusal:
        list(talking(handler).watch("job_1"))
    assert refusal.value.code == "job_not_found"
    assert len(asked) == 1


def test_wait_times_out() -> None:
    with pytest.raises(TimeoutError, match="job_1"):
        talking(script(httpx.Response(200, json=job()))[0]).wait("job_1", timeout=0.01)


def test_lists_go_from_page_to_page() -> None:
    handler, asked = script(
        httpx.Response(200, json={"data": [job(id="job_3"), job(id="job_2")], "has_more": True, "next_cursor": "c"}),
        httpx.Response(200, json={"data": [job()], "has_more": False, "next_cursor": None}),
    )
    assert [found.id for found in talking(handler).list(status="queued")] == ["job_3", "job_2", "job_1"]
    assert dict(asked[1].url.params) == {"status": "queued", "after": "c"}


def test_events_go_from_page_to_page() -> None:
    def page(numbers: Iterator[int] | range, more: bool) -> httpx.Response:
        data = [{"seq": number, "type": "log", "data": {}, "attempt": 1} for number in numbers]
        return httpx.Response(200, json={"data": data, "has_more": more, "next_cursor": None})

    handler, asked = script(page(range(1, 3), True), page(range(3, 4), False))
    assert [event.seq for event in talking(handler).events("job_1")] == [1, 2, 3]
    assert dict(asked[1].url.params) == {"after": "2"}


def test_a_job_without_the_artifact_says_what_it_has() -> None:
    failed = job(status="failed", error={"code": "hub", "message": "the hub does not answer"})
    with pytest.raises(JobNotSucceededError, match=r"failed.*mask\.safetensors.*the hub does not answer"):
        talking(script(httpx.Response(200, json=failed))[0]).download("job_1")


def test_a_dry_run_asks_for_one_and_reads_what_was_found() -> None:
    found = {"dry_run": True, "steps": 300, "estimate": {"seconds": 40.0, "jobs": 2}, "warnings": []}
    handler, asked = script(httpx.Response(200, json=found))
    preview = talking(handler).dry_run(model="toy", task="sst2")
    assert (asked[0].url.path, asked[0].url.query) == ("/v1/jobs", b"dry_run=true")
    assert (preview.steps, preview.estimate and preview.estimate.seconds) == (300, 40.0)


def test_a_job_that_a_service_without_dry_runs_has_created_is_cancelled() -> None:
    handler, asked = script(httpx.Response(202, json=job()), httpx.Response(200, json=job(status="cancelled")))
    with pytest.raises(NotEspalierError):
        talking(handler).dry_run(model="toy", task="sst2")
    assert [request.url.path for request in asked] == ["/v1/jobs", "/v1/jobs/job_1/cancel"]
