"""History routes: pages of events, and the log."""

from fastapi.testclient import TestClient

from espalier.cli.jobs import format_event
from espalier.client.models import Event
from tests.api.conftest import Jobs


def test_pages(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    for number in range(5):
        jobs.event(job_id, "log", message=str(number))
    seen: list[int] = []
    after: str | None = "0"
    while after is not None:
        page = client.get(f"/v1/jobs/{job_id}/events", params={"limit": 3, "after": after}).json()
        seen += [event["seq"] for event in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        after = page["next_cursor"]
    assert seen == list(range(1, 8))
    first = client.get(f"/v1/jobs/{job_id}/events?limit=1").json()["data"][0]
    assert (first["type"], first["attempt"], first["data"]) == ("created", 0, {"status": "queued"})


def test_log(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    jobs.event(job_id, "log", level="warning", message="two\nlines")
    jobs.event(job_id, "evaluation", metrics={"accuracy": 0.5}, time="2026-01-01T00:00:00Z")
    answer = client.get(f"/v1/jobs/{job_id}/log")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert [line.split("  ", 2)[2].strip() for line in lines if not line.startswith(" ")] == [
        "created     status=queued",
        "status      status=running worker=w",
        "log         two",
        'evaluation  metrics={"accuracy": 0.5}',
    ]
    assert lines[3] == "    lines level=warning"


def test_the_log_has_short_digests_and_rounded_numbers(client: TestClient, jobs: Jobs) -> None:
    job = jobs.running()
    jobs.event(job, "checkpoint", sha256="ab" * 32, metrics={"loss": 0.123456789, "step": 7}, name="größer")
    line = client.get(f"/v1/jobs/{job}/log").text.splitlines()[-1]
    assert "sha256=abababababab…" in line
    assert '"loss": 0.1235' in line
    assert '"step": 7' in line
    assert "größer" in line
    event = client.get(f"/v1/jobs/{job}/events").json()["data"][-1]
    assert event["data"]["sha256"] == "ab" * 32
    assert format_event(Event.model_validate(event)) == line
