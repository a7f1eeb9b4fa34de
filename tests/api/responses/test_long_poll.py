"""Long polling: entity tags of jobs, what a response waits for, how long at most, how many at the same time."""

from collections.abc import Callable, Iterator

import anyio
import pytest
from fastapi.testclient import TestClient

from api.responses.long_poll import parse_prefer_wait
from service.db.models import LOCAL
from service.jobs import commands, queries
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem

Happen = Callable[[Callable[[], object]], None]


@pytest.fixture
def happen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Happen]:
    """What the test lets happen, one thing at each look of a waiting request; it does not really wait."""
    things: list[Callable[[], object]] = []

    async def pause(_: float) -> None:
        if things:
            things.pop(0)()

    monkeypatch.setattr(anyio, "sleep", pause)
    yield things.append
    assert things == [], "the answer came too early"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=5", 5),
        ("respond-async, wait=7", 7),
        ('WAIT = "8"; x=1', 8),
        ("wait=999", 60),
        ("wait=-1", 0),
        ("wait=x", 0),
        ("await=3", 0),
        ("wait=1.5", 0),
    ],
)
def test_the_header(prefer: str | None, seconds: float) -> None:
    assert parse_prefer_wait(prefer, 60) == seconds


def test_a_job_that_has_not_changed_is_not_sent_again(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    url = f"/v1/jobs/{job_id}"
    first = client.get(url)
    tag = first.headers["etag"]
    assert not tag.startswith("W/")
    same = client.get(url, headers={"If-None-Match": f'"other", {tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    jobs.artifact(job_id, b"checkpoint", name="predictions.jsonl")
    changed = client.get(url, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_waiting_for_the_end(client: TestClient, jobs: Jobs, happen: Happen) -> None:
    job_id = jobs.running()
    happen(lambda: jobs.event(job_id, "log", message="no end yet"))
    happen(lambda: jobs.finish(job_id))
    answer = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=50"})
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=50"
    assert [artifact["name"] for artifact in answer.json()["artifacts"]] == ["mask.safetensors"]


def test_waiting_for_a_change(client: TestClient, jobs: Jobs, happen: Happen) -> None:
    job_id = jobs.queued()
    tag = client.get(f"/v1/jobs/{job_id}").headers["etag"]

    def pause() -> None:
        with jobs.database.write() as session:
            commands.request_pause(session, job_id)

    happen(lambda: None)
    happen(pause)
    answer = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=50", "If-None-Match": tag})
    assert (answer.status_code, answer.json()["status"]) == (200, "paused")


def test_the_wait_ends(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    """In real time, and capped by the setting."""
    client = client_with(max_wait_seconds=0.05)
    job_id = jobs.queued()
    answer = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=3600"})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert answer.headers["preference-applied"] == "wait=0.05"
    both = {"Prefer": "wait=3600", "If-None-Match": answer.headers["etag"]}
    assert client.get(f"/v1/jobs/{job_id}", headers=both).status_code == 304


def test_a_finished_job_is_not_waited_for(client: TestClient, jobs: Jobs) -> None:
    url = f"/v1/jobs/{jobs.succeeded()}"
    tag = client.get(url, headers={"Prefer": "wait=60"}).headers["etag"]
    assert client.get(url, headers={"Prefer": "wait=60", "If-None-Match": tag}).status_code == 304


def test_waiting_after_a_submission(client: TestClient, jobs: Jobs, happen: Happen) -> None:
    def cancel() -> None:
        with jobs.database.write() as session:
            ((job_id,), _) = queries.page(session, limit=2)
            commands.request_cancel(session, job_id)

    happen(cancel)
    key = {"Idempotency-Key": "1", "Prefer": "wait=50"}
    answer = client.post("/v1/jobs", json=BODY, headers=key)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    again = client.post("/v1/jobs", json=BODY, headers=key)
    assert (again.status_code, again.json()["status"]) == (202, "queued")  # the answer to the submission
    plain = client.post("/v1/jobs", json=BODY)
    assert (plain.status_code, plain.json()["status"]) == (202, "queued")
    assert "preference-applied" not in plain.headers


def test_waits_are_bounded_and_their_slots_are_released(client: TestClient, jobs: Jobs) -> None:
    places = client.app.state.services.wait_slots  # type: ignore[attr-defined]
    taken = 0
    while places.acquire(LOCAL):
        taken += 1
    job_id = jobs.queued()
    answer = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=60"})
    assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)
    for _ in range(taken):
        places.release(LOCAL)
    done = jobs.queued()
    client.post(f"/v1/jobs/{done}/cancel")
    for _ in range(3):
        client.get(f"/v1/jobs/{done}", headers={"Prefer": "wait=60"})
    assert sum(places.acquire(LOCAL) for _ in range(taken)) == taken


def test_a_job_deleted_meanwhile(client: TestClient, jobs: Jobs, happen: Happen) -> None:
    job_id = jobs.queued()

    def vanish() -> None:
        with jobs.database.write() as session:
            commands.request_cancel(session, job_id)
            commands.delete(session, job_id)

    happen(vanish)
    assert_problem(client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=50"}), 404, "job_not_found")
