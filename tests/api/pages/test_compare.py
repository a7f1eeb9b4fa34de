"""Comparison of ticked jobs and of sweeps: table, figure, what differs, refusals, markup, owners."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from service.access.api_keys import Scope
from service.db.models import LOCAL, Job
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import BODY, Jobs
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring

GRID = {"base": BODY | {"max_steps": 50}, "methods": ["smp-s", "movement"], "sparsities": [0.9], "seeds": [1, 2]}


def succeeded(jobs: Jobs, *, score: float = 0.875, **spec: Any) -> str:
    job_id = jobs.running(**spec)
    succeed(jobs, job_id, score)
    return job_id


def succeed(jobs: Jobs, job_id: str, score: float) -> None:
    mask = jobs.artifact(job_id, b"mask")
    result = {
        "primary_metric": "accuracy",
        "before": {"accuracy": 0.5},
        "final": {"accuracy": score},
        "sparsity": 0.85,
        "remaining": 0.15,
        "mask_bytes": 1500,
        "seconds": 61,
    }
    with jobs.database.write() as session:
        claims.succeed(session, Fence(job_id, 1), result=result, mask_artifact_id=mask)


def address(*job_ids: str) -> str:
    return "/compare?" + "&".join(f"job={job_id}" for job_id in job_ids)


def test_ticked_jobs_in_one_table_and_one_figure(browser: Browser, jobs: Jobs) -> None:
    first = succeeded(jobs, sparsity=0.9)
    second = succeeded(jobs, sparsity=0.9, seed=7, score=0.9)
    waiting = jobs.queued(task="mrpc", method="magnitude")
    page = browser.get("/")
    for job_id in (first, second, waiting):
        assert f'name="job" value="{job_id}" form="compare"' in page.text
    page = browser.get(address(first, second, waiting, first))
    assert "Comparison of 3 jobs" in texts(page)
    assert re.findall(r'<tr id="(job_\w+)"', page.text) == [first, second, waiting]
    for text in ("90 % 85 % 0.5 → 0.875 accuracy 1.5 kB 1 min 1 s seed: 42", "seed: 7", "magnitude", "mrpc"):
        assert text in texts(page)
    figure = re.search(r'src="([^"]+plot[^"]+)"', page.text)
    assert figure is not None
    drawn = browser.get(figure[1].replace("&amp;", "&"))
    assert drawn.headers["Content-Type"] == "image/svg+xml"
    for text in ("uncased · sst2", "2 of 2 jobs ended", "uncased · mrpc", "smp-s", "dense, zero-shot"):
        assert text in drawn.text
    assert "seed" not in drawn.text
    assert browser.get(f"{address(first).replace('?', '/plot.png?')}").content.startswith(b"\x89PNG")


def test_it_moves_until_all_have_ended(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    before = browser.fragment(address(job_id)).text
    assert before.strip().startswith(f'<div id="comparison" hx-get="{address(job_id)}"')
    succeed(jobs, job_id, 0.8)
    after = browser.fragment(address(job_id)).text
    assert "hx-get" not in after
    assert re.findall(r"v=(\w{16})", before) != re.findall(r"v=(\w{16})", after)


def test_nothing_ticked_says_what_to_do(browser: Browser) -> None:
    assert "Tick jobs on the list" in texts(browser.get("/compare"))


@pytest.mark.parametrize("strange", ["job_0", "x", "", "%00", "job_0%00"])
@pytest.mark.parametrize("path", ["/compare", "/compare/plot.svg"])
def test_jobs_that_are_not_there(browser: Browser, jobs: Jobs, path: str, strange: str) -> None:
    refused = browser.get(f"{path}?job={jobs.queued()}&job={strange}")
    assert (refused.status_code, "job_not_found" in refused.text) == (404, True)


def test_too_many_are_refused_before_any_is_read(browser: Browser) -> None:
    assert browser.get(address(*(f"job_{number}" for number in range(51)))).status_code == 422
    assert browser.get("/compare/plot.svg").status_code == 422


def test_a_busy_service_answers_as_the_api(browser: Browser, jobs: Jobs) -> None:
    path = address(jobs.queued()).replace("?", "/plot.svg?")
    slots = browser.app.state.services.figure_slots
    assert slots.acquire(LOCAL)
    assert slots.acquire(LOCAL)
    refused = browser.http.get(path)
    assert_problem(refused, 503, "figures_busy")
    assert refused.headers["Retry-After"]
    slots.release(LOCAL)
    assert browser.get(path).status_code == 200


def test_other_owners_jobs_and_sweeps_are_not_there(protected: FastAPI, keys: Keyring, jobs: Jobs) -> None:
    own, other = jobs.queued(), jobs.queued()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == own).values(owner="a"))
        session.execute(update(Job).where(Job.id == other).values(owner="b"))
    browser = signed_in(protected, keys, "a", Scope.READ, Scope.WRITE)
    assert browser.get(address(own)).status_code == 200
    for path in (address(own, other), address(other).replace("?", "/plot.svg?")):
        assert browser.get(path).status_code == 404
    made = browser.http.post("/v1/sweeps", json=GRID, headers=keys.header_of("b", Scope.WRITE)).json()
    here = f"/sweeps/{made['id']}"
    assert made["id"] not in browser.get("/sweeps").text
    for path in ("", "/plot.svg", "/results.csv"):
        assert browser.get(f"{here}{path}").status_code == 404
    for action in ("cancel", "delete"):
        assert browser.send(f"{here}/{action}").status_code == 404
    assert own in signed_in(protected, keys, "c", Scope.ADMIN).get(address(own, other)).text


def test_markup_stays_text(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.queued()
    spec = {**BODY, "model": MARKUP, "method": MARKUP, "task": {"dataset": MARKUP}, "sparsity": 0.5, "seed": MARKUP}
    other = jobs.queued()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(spec=spec))
        session.execute(update(Job).where(Job.id == other).values(spec={**spec, "seed": 1}))
    for path in (address(job_id, other), address(job_id, other).replace("?", "/plot.svg?")):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text


def test_a_sweep_opens_as_a_comparison(browser: Browser, jobs: Jobs) -> None:
    assert "No sweeps yet" in texts(browser.get("/sweeps"))
    made = browser.http.post("/v1/sweeps", json=GRID | {"baseline": 0.93}).json()
    here = f"/sweeps/{made['id']}"
    with jobs.database.write() as session:
        job = claims.claim(session, worker_id="w", lease_seconds=600)
    assert job is not None
    succeed(jobs, job.id, 0.8)
    listed = texts(browser.get("/sweeps"))
    for text in (made["id"], "25 %", "succeeded 1", "queued 3", "smp-s, movement"):
        assert text in listed
    page = browser.get(here)
    assert f'href="{here}"' in browser.get(f"/jobs/{job.id}").text
    assert len(re.findall(r'<tr id="job_', page.text)) == 4
    assert "1 of 4 jobs ended" in texts(page)
    assert f'hx-get="{here}"' in browser.fragment(here).text
    assert "1 of 4 jobs ended" in browser.get(f"{here}/plot.svg").text
    assert "metric_name" in browser.get(f"{here}/results.csv").text
    assert browser.send(f"{here}/delete", here).status_code == 409
    assert browser.send(f"{here}/cancel", here).headers["Location"] == here
    assert "hx-get" not in browser.fragment(here).text
    assert browser.send(f"/jobs/{job.id}/delete", f"/jobs/{job.id}").status_code == 303
    assert "deleted" in texts(browser.get(here))
    assert browser.send(f"{here}/delete", here).headers["Location"] == "/sweeps"
    assert browser.get(here).status_code == 404
