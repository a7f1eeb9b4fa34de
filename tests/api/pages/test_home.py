"""First page: what it says of jobs and of the queue, filters, pages, markup in what users wrote, and its weight."""

import re
from html import unescape

from fastapi import FastAPI
from sqlalchemy import update

from api.pages.rendering import HEADERS
from service.db.models import Job
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import BODY, Jobs
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring


def test_an_empty_list_says_what_to_do_next(browser: Browser) -> None:
    page = browser.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "espalier run google-bert/bert-base-uncased sst2 --sparsity 0.9 --url http://127.0.0.1:8000" in texts(page)


def test_only_browsers_get_a_page(browser: Browser) -> None:
    assert_problem(browser.http.get("/"), 404, "route_not_found")


def test_every_page_has_the_policy(browser: Browser) -> None:
    for page in (browser.get("/"), browser.get("/?status=none"), browser.fragment("/")):
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self';")
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == HEADERS["Cache-Control"]
        assert not re.search(r"<style|\sstyle=|<script>|\son\w+=|https?://(?!127)", page.text)


def test_rows_tell_state_progress_and_metric(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running(sparsity=0.97)
    with jobs.database.write() as session:
        claims.set_phase(session, Fence(job_id, 1), "training")
        claims.set_progress(session, Fence(job_id, 1), step=50, total_steps=200, eta_seconds=90)
    page = browser.get("/")
    assert f'href="/jobs/{job_id}"' in page.text
    assert '<progress value="50" max="200"' in page.text
    for text in ("running", "training", "50 of 200 steps, 1 min 30 s left", "97 %", "bert-base-uncased"):
        assert text in texts(page)
    mask = jobs.artifact(job_id, b"mask")
    result = {
        "primary_metric": "accuracy",
        "before": {"accuracy": 0.5},
        "final": {"accuracy": 0.875},
        "sparsity": 0.96,
        "mask_bytes": 1500,
    }
    with jobs.database.write() as session:
        claims.succeed(session, Fence(job_id, 1), result=result, mask_artifact_id=mask)
    page_text = texts(browser.get("/"))
    for text in ("succeeded", "0.5 → 0.875 accuracy", "96 %", "1.5 kB"):
        assert text in page_text


def test_the_queue_and_its_workers(browser: Browser, jobs: Jobs) -> None:
    assert "No worker" in texts(browser.get("/"))
    jobs.worker()
    jobs.running()
    jobs.queued()
    page_text = texts(browser.get("/"))
    assert "Waiting 1 oldest" in page_text
    assert "Running 1" in page_text
    assert "1 slot, 1 device" in page_text


def test_filters_are_those_of_the_api(browser: Browser, jobs: Jobs) -> None:
    sst2, mrpc, named = jobs.queued(), jobs.queued(task="mrpc"), jobs.queued()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == named).values(user_metadata={"team": "nlp"}))
    assert shown(browser, "/?task=mrpc") == [mrpc]
    assert shown(browser, "/?metadata[team]=nlp") == [named]
    assert shown(browser, "/?status=queued&task=&model=&method=&kind=pruning") == [named, mrpc, sst2]
    assert shown(browser, "/?status=failed") == []
    assert "No job matches" in texts(browser.get("/?status=failed"))
    refused = browser.get("/?status=none")
    assert refused.status_code == 422
    assert assert_problem(browser.http.get("/v1/jobs?status=none"), 422, "invalid_request")["detail"] in texts(refused)


def test_pages_neither_repeat_nor_skip(browser: Browser, jobs: Jobs) -> None:
    made = [jobs.queued() for _ in range(45)][::-1]
    seen, here = [], "/?task=sst2"
    while here:
        page = browser.get(here)
        seen += shown(browser, here)
        following = re.search(r'href="([^"]+)" rel="next"', page.text)
        here = unescape(following[1]) if following else ""
        assert not here or "task=sst2" in here
        jobs.queued()
    assert seen == made
    assert browser.get("/?after=nonsense").status_code == 422


def test_a_fragment_is_the_part_that_moves(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.queued()
    fragment = browser.fragment("/?task=sst2").text
    assert fragment.strip().startswith('<div id="jobs" hx-get="/?task=sst2"')
    assert job_id in fragment
    assert "<html" not in fragment


def test_markup_in_what_users_wrote_stays_text(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.queued()
    error = {"code": MARKUP, "message": MARKUP, "param": None, "kind": "user", "retryable": False}
    spec = {**BODY, "model": MARKUP, "method": MARKUP, "task": {"dataset": MARKUP}, "sparsity": 0.5}
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(spec=spec, error=error))
    for page in (browser.get("/"), browser.get("/", Accept="text/html"), browser.get(f"/?model={MARKUP}")):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
    assert MARKUP in texts(browser.get("/")) or "alert(1)" in texts(browser.get("/"))


def test_owners_see_their_own(protected: FastAPI, keys: Keyring, jobs: Jobs) -> None:
    job_id = jobs.queued()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(owner="a"))
    assert job_id in signed_in(protected, keys, "a").get("/").text
    assert job_id not in signed_in(protected, keys, "b").get("/").text


def test_the_first_page_is_light(browser: Browser, jobs: Jobs) -> None:
    for _ in range(25):
        jobs.queued()
    page = browser.get("/")
    total = len(page.content)
    for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        with browser.http.stream("GET", link, headers={"Accept-Encoding": "gzip"}) as asset:
            total += len(b"".join(asset.iter_raw()))
    assert total < 100_000


def shown(browser: Browser, path: str) -> list[str]:
    return re.findall(r'<tr id="(job_\w+)"', browser.get(path).text)
