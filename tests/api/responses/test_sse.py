"""Event stream of a job: no gap and no repetition wherever a client reconnects, keep-alive comments, bounded slots, an end."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.responses import sse
from service.concurrency import ConcurrencyLimiter
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence
from service.settings import Settings
from tests import patient_http
from tests.api.conftest import Jobs
from tests.api.problems import assert_problem
from tests.serving import serving

LIVE = {"Accept": "text/event-stream"}


def messages(text: str) -> list[dict[str, Any]]:
    """The messages of a stream that have data: name, id and data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            data = json.loads(fields["data"])
            found.append({"name": fields.get("event", "message"), "id": fields.get("id"), "data": data})
    return found


def numbered(text: str) -> list[int]:
    return [int(message["id"]) for message in messages(text) if message["id"] is not None]


def test_a_finished_jobs_stream_is_all_and_the_end(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    answer = client.get(f"/v1/jobs/{job_id}/events", headers=LIVE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text.startswith("retry: ")
    *_, progress, end = messages(answer.text)
    assert (progress["name"], progress["id"], progress["data"]["status"]) == ("progress", None, "succeeded")
    assert (end["name"], end["id"], end["data"]) == ("end", None, {"status": "succeeded"})
    events = client.get(f"/v1/jobs/{job_id}/events").json()["data"]
    assert [message["data"] for message in messages(answer.text) if message["id"]] == events


def test_reconnecting_anywhere_leaves_no_gap_and_repeats_nothing(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    for number in range(10):
        jobs.event(job_id, "log", message=f"line\n{number}")
    jobs.finish(job_id)
    url = f"/v1/jobs/{job_id}/events"
    everything = numbered(client.get(url, headers=LIVE).text)
    assert everything == list(range(1, len(everything) + 1))
    for cut in range(len(everything) + 1):
        rest = client.get(url, headers=LIVE | {"Last-Event-ID": str(cut)})
        assert numbered(rest.text) == everything[cut:]
        assert messages(rest.text)[-1]["name"] == "end"
    assert numbered(client.get(url, headers=LIVE, params={"after": 3}).text) == everything[3:]


def test_a_long_history_is_sent_in_pieces(client: TestClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_PAGE", 2)
    job_id = jobs.succeeded()
    seen = numbered(client.get(f"/v1/jobs/{job_id}/events", headers=LIVE).text)
    assert seen == list(range(1, len(seen) + 1))


def test_a_live_stream_follows_until_the_end(client: TestClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing happens only once the stream has looked and found nothing new."""
    job_id = jobs.running()
    happenings: list[Callable[[], Any]] = [
        lambda: jobs.event(job_id, "phase", phase="training"),
        lambda: progress(jobs, job_id, 5),
        lambda: jobs.event(job_id, "log", message="ä"),
        lambda: jobs.finish(job_id),
    ]

    async def next_thing(_: float) -> None:
        happenings.pop(0)()

    monkeypatch.setattr(anyio, "sleep", next_thing)
    seen = messages(client.get(f"/v1/jobs/{job_id}/events", headers=LIVE).text)
    types = [message["data"].get("type") for message in seen if message["id"]]
    assert types == ["created", "status", "phase", "log", "status"]
    steps = [message["data"]["step"] for message in seen if message["name"] == "progress"]
    assert steps == [0, 5, 5]
    assert seen[-1] == {"name": "end", "id": None, "data": {"status": "succeeded"}}


def progress(jobs: Jobs, job_id: str, step: int) -> None:
    with jobs.database.write() as session:
        claims.set_progress(session, Fence(job_id, 1), step=step, total_steps=9)


def test_silence_is_broken_by_comments(client: TestClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = jobs.running()
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", -1.0)
    looked = 0
    look = sse._read_snapshot

    def third_time(*arguments: Any) -> Any:
        nonlocal looked
        looked += 1
        if looked == 3:
            jobs.finish(job_id)
        return look(*arguments)

    monkeypatch.setattr(sse, "_read_snapshot", third_time)
    assert client.get(f"/v1/jobs/{job_id}/events", headers=LIVE).text.count("\n: keep-alive\n") == 1


def test_a_job_deleted_meanwhile_ends_its_stream(client: TestClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = jobs.queued()

    async def vanish(_: float) -> None:
        with jobs.database.write() as session:
            commands.request_cancel(session, job_id)
            commands.delete(session, job_id)

    monkeypatch.setattr(anyio, "sleep", vanish)
    seen = messages(client.get(f"/v1/jobs/{job_id}/events", headers=LIVE).text)
    assert seen[-1] == {"name": "end", "id": None, "data": {"status": "deleted"}}


def test_streams_are_bounded_and_their_slots_are_released(client: TestClient, jobs: Jobs, settings: Settings) -> None:
    job_id = jobs.succeeded()
    places: ConcurrencyLimiter = client.app.state.services.stream_slots  # type: ignore[attr-defined]
    for _ in range(settings.max_streams):
        assert places.acquire("local")
    answer = client.get(f"/v1/jobs/{job_id}/events", headers=LIVE)
    assert_problem(answer, 503, "too_many_streams")
    assert answer.headers["retry-after"]
    places.release("local")
    for _ in range(3):
        assert client.get(f"/v1/jobs/{job_id}/events", headers=LIVE).status_code == 200


@pytest.mark.slow
def test_a_reader_whose_connection_breaks_anywhere_misses_nothing(
    settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While events are written, the client leaves after some random bytes, in the middle of a line too, and comes back."""
    monkeypatch.setattr(sse, "POLL_SECONDS", 0.005)
    random = Random(3)
    job_id = jobs.running()
    seen, breaks, ended = ["0"], 0, False
    with serving(create_app(settings)) as address, httpx.Client(timeout=patient_http.SECONDS) as reader:
        while not ended:
            for _ in range(random.randrange(8) if breaks < 40 else 0):
                jobs.event(job_id, "log", message="ä" * random.randrange(100))
            if breaks == 40:
                jobs.finish(job_id)
            left, text = random.randrange(1, 600) if breaks < 40 else 10**6, b""
            headers = LIVE | {"Last-Event-ID": seen[-1]}
            with reader.stream("GET", f"{address}/v1/jobs/{job_id}/events", headers=headers) as answer:
                for piece in answer.iter_raw():
                    text += piece[:left]
                    left -= len(piece)
                    if left <= 0 or (b"event: progress" in text and breaks < 40):  # nothing more for now
                        break
            whole = text[: text.rfind(b"\n\n")].decode() if b"\n\n" in text else ""  # what a client may act on
            seen += [message["id"] for message in messages(whole) if message["id"] is not None]
            ended = messages(whole)[-1:] == [{"name": "end", "id": None, "data": {"status": "succeeded"}}]
            breaks += 1
    assert breaks > 40
    with jobs.database.read() as session:
        last = queries.events(session, job_id, after=int(seen[-1]))
    assert not last
    assert seen == [str(number) for number in range(len(seen))]
    assert len(seen) > 100


@pytest.mark.parametrize("given", ["x", "-1", "1e3", str(2**70)])
def test_a_last_event_id_that_is_no_number(client: TestClient, jobs: Jobs, given: str) -> None:
    answer = client.get(f"/v1/jobs/{jobs.queued()}/events", headers=LIVE | {"Last-Event-ID": given})
    assert assert_problem(answer, 422, "invalid_request")["errors"][0]["parameter"] == "Last-Event-ID"
