"""Page of a job: what it shows, what moves, whose it is, and markup in what users and trainers wrote."""

import html
import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.pages.job_repeat import repetition, spec_fields
from api.schemas.jobs import Job as JobSchema
from pruning.spec.schema import PruningSpec
from service.db.models import Job
from service.jobs import claims, queries
from service.jobs.fence import Fence
from tests.api.conftest import Jobs
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.protected_app import Keyring

REPORT = {
    "matrices": [
        {"kind": "attention.self.query", "layer": "0", "density": 0.1},
        {"kind": "attention.self.query", "layer": "1", "density": 0.2},
        {"kind": "output.dense", "layer": "1", "density": 0.05},
    ],
    "heads": [{"layer": "0", "head": 3, "density": 0.15, "parts": {}}],
}


def test_a_finished_job(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running(sparsity=0.97)
    jobs.event(job_id, "log", level="warning", message="rows were left out")
    jobs.artifact(job_id, json.dumps(REPORT).encode(), "report.json")
    jobs.finish(job_id)
    page = browser.get(f"/jobs/{job_id}")
    page_text = texts(page)
    for text in ("succeeded", "rows were left out", "By matrix", "attention.self.query", "head 3", "mask.safetensors", "4 bytes"):
        assert text in page_text
    assert re.findall(r'<td class="h(\d+)">([\d.]+)</td>', page.text) == [
        ("5", "10.0"),
        ("10", "20.0"),
        ("3", "5.0"),
        ("8", "15.0"),
    ]
    assert "hx-sse" not in page.text
    assert "/delete" in page.text
    assert "/cancel" not in page.text
    assert browser.get(f"/jobs/{job_id}/artifacts/mask.safetensors").content == b"mask"


def test_a_job_that_starts_from_a_mask_leads_to_the_job_that_made_it_and_the_form_to_the_next(browser: Browser, jobs: Jobs) -> None:
    start = jobs.succeeded()
    page = browser.get(f"/jobs/{start}").text
    (query,) = re.findall(r'href="/new\?([^"]*init_from[^"]*)"', page)
    form = browser.get(f"/new?{html.unescape(query)}").text
    assert re.search(rf'name="init_from"[^>]*value="{start}"', form)
    further = jobs.succeeded(init_from=start, sparsity=0.97)
    assert f'Starts from the mask of <a href="/jobs/{start}">{start}</a>' in browser.get(f"/jobs/{further}").text
    assert "Starts from" not in page
    for other in (jobs.succeeded(method="magnitude"), jobs.queued()):
        assert "init_from=" not in browser.get(f"/jobs/{other}").text


def test_a_running_job_moves(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    seq = jobs.event(job_id, "phase", phase="training")
    page = browser.get(f"/jobs/{job_id}").text
    assert f'hx-sse:connect="/jobs/{job_id}/stream?after={seq}"' in page
    state = browser.fragment(f"/jobs/{job_id}?part=state")
    assert state.text.strip().startswith('<div id="state" hx-get=')
    assert "training" not in texts(browser.fragment(f"/jobs/{job_id}?part=results"))
    for action in ("pause", "cancel"):
        assert f'action="/jobs/{job_id}/{action}"' in state.text


def test_an_evaluation_of_a_run_is_not_shown_as_its_result(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    with jobs.database.write() as session:
        claims.set_progress(session, Fence(job_id, 1), metrics={"validation_accuracy": 0.8123})
    assert "0.8123 accuracy so far" in texts(browser.get(f"/jobs/{job_id}"))
    jobs.fail(job_id)
    assert "0.8123 accuracy when it ended" in texts(browser.get(f"/jobs/{job_id}"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_run_that_does_not_learn_shows_it_while_it_runs(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    assert "Signal-to-noise" not in browser.fragment(f"/jobs/{job_id}?part=state").text
    with jobs.database.write() as session:
        values = {"validation_accuracy": 0.5, "constant_prediction": True, "signal_to_noise": 0.0612}
        session.execute(update(Job).where(Job.id == job_id).values(metrics=values))
    state = browser.fragment(f"/jobs/{job_id}?part=state").text
    assert "one prediction for all rows" in state
    assert "0.0612" in state


def test_the_stream_has_each_event_once_as_html(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    first = jobs.event(job_id, "log", message="one\r\ntwo\nthree")
    jobs.event(job_id, "log", message=MARKUP)
    jobs.finish(job_id)
    stream = browser.get(f"/jobs/{job_id}/stream").text
    ids = [int(found) for found in re.findall(r"^id: (\d+)$", stream, re.MULTILINE)]
    assert ids == list(range(1, len(ids) + 1))
    assert "data: <li" in stream
    assert "data: three</span></li>" in stream
    assert "<script" not in stream
    assert stream.rstrip().endswith('data: {"status": "succeeded"}')
    resumed = browser.get(f"/jobs/{job_id}/stream", **{"Last-Event-ID": str(first)}).text
    assert re.findall(r"^id: (\d+)$", resumed, re.MULTILINE)[0] == str(first + 1)


def test_curves_are_read_on_from_a_cursor(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    jobs.metrics(job_id, 10, loss=0.5)
    address = f"/jobs/{job_id}/curves"
    first = browser.get(address).json()
    assert first["rows"] == [[10, 1, {"loss": 0.5}]]
    jobs.metrics(job_id, 20, loss=0.4)
    second = browser.get(f"{address}?after={first['after']}").json()
    assert (second["rows"], second["more"]) == ([[20, 1, {"loss": 0.4}]], False)
    assert browser.get(f"{address}?after={second['after']}").json()["after"] == second["after"]
    assert browser.get(f"/jobs/{job_id}/metrics.csv").text.splitlines()[0] == "step,attempt,loss"
    assert "log" in browser.get(f"/jobs/{job_id}/log").headers["Content-Type"] or browser.get(f"/jobs/{job_id}/log").is_success


def test_others_jobs_do_not_exist(protected: FastAPI, keys: Keyring, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(owner="a"))
    owner, other = signed_in(protected, keys, "a"), signed_in(protected, keys, "b")
    token = other.token()
    for path in ("", "/stream", "/curves", "/log", "/metrics.csv", "/artifacts/mask.safetensors"):
        assert owner.get(f"/jobs/{job_id}{path}").status_code == 200, path
        assert other.get(f"/jobs/{job_id}{path}").status_code == 404, path
        assert Browser(protected).get(f"/jobs/{job_id}{path}").status_code == 303, path
    for action in ("cancel", "pause", "resume", "retry", "delete", "predictions"):
        answer = other.post(f"/jobs/{job_id}/{action}", form_token=token, texts="a")
        assert answer.status_code == 404, action
    assert owner.get(f"/jobs/{job_id}").status_code == 200


def test_markup_stays_text(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    jobs.event(job_id, "log", message=MARKUP, **{MARKUP: MARKUP})
    jobs.event(job_id, "stderr", text=MARKUP)
    jobs.artifact(job_id, json.dumps({"matrices": [{"kind": MARKUP, "layer": MARKUP, "density": 1.0}]}).encode(), "report.json")
    jobs.finish(job_id)
    error = {"code": MARKUP, "message": MARKUP, "param": MARKUP, "kind": "user", "retryable": False}
    task = {"dataset": MARKUP, "text": [MARKUP], "label_words": [MARKUP]}
    spec = {**PruningSpec(model="m", task="sst2").model_dump(mode="json"), "model": MARKUP, "task": task, "method": MARKUP}
    values: dict[str, Any] = {"spec": spec, "error": error, "user_metadata": {MARKUP: MARKUP}, "phase": MARKUP[:40]}
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))
    for part in ("", "?part=state", "?part=results"):
        page = browser.get(f"/jobs/{job_id}{part}")
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
    assert MARKUP in texts(browser.get(f"/jobs/{job_id}")) or "alert(1)" in texts(browser.get(f"/jobs/{job_id}"))


GIVEN: tuple[dict[str, Any], ...] = (
    {},
    {"method": "magnitude", "sparsity": 0.5, "seed": 7},
    {"preset": "paper", "max_steps": 100},
    {"task": {"dataset": "reviews", "text": ["it's"], "labels": ["no", "yes"]}, "sparsity": 0.8},
)


@pytest.mark.parametrize("given", GIVEN)
def test_a_job_is_repeated_by_what_differs_from_the_defaults(jobs: Jobs, given: dict[str, Any]) -> None:
    job_id = jobs.queued(**given)
    with jobs.database.read() as session:
        job = JobSchema.from_row(queries.get(session, job_id), [], None, paused_days=14, root_path="")
    lines = repetition(job, "http://h", keys_required=True)
    body = json.loads(lines.curl.rpartition(" -d ")[2].strip("'").replace("'\"'\"'", "'"))
    assert PruningSpec(**body).model_dump(mode="json") == job.spec
    assert len(body) <= 2 + len(given)
    assert {field.name for field in spec_fields(job) if not field.is_default} == {*given, "model", "task"}
    assert "$ESPALIER_API_KEY" in lines.curl
    assert "esp_" not in f"{lines}"
    compile(lines.python, "repeat.py", "exec")
