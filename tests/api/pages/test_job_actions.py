"""Actions of the page of a job, as forms without JavaScript; refusals in the words of the API; trying the mask."""

import sys
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.predictions.service import PredictionService
from service.access.api_keys import Scope
from service.db.models import Job
from service.jobs import queries
from service.settings import Settings
from service.states import Status
from tests.api.conftest import Jobs
from tests.api.pages.browser_client import Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.predictions.test_service import FAKE
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring


def status_of(jobs: Jobs, job_id: str) -> Status:
    with jobs.database.read() as session:
        return queries.get(session, job_id).status


def test_from_the_queue_to_its_end_and_again(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.queued()
    here = f"/jobs/{job_id}"
    for action, status in (("pause", Status.PAUSED), ("resume", Status.QUEUED), ("cancel", Status.CANCELLED)):
        answer = browser.send(f"{here}/{action}", here)
        assert (answer.status_code, answer.headers["Location"]) == (303, here)
        assert status_of(jobs, job_id) is status
    again = browser.send(f"{here}/retry", here).headers["Location"]
    assert again.startswith("/jobs/job_")
    assert again != here
    assert browser.send(f"{here}/retry", here).headers["Location"] == again
    assert f'href="{here}"' in browser.get(again).text
    assert browser.send(f"{here}/delete", here).headers["Location"] == "/"
    assert browser.get(here).status_code == 404


def test_a_running_job_is_asked(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.running()
    browser.send(f"/jobs/{job_id}/cancel", f"/jobs/{job_id}")
    assert "running cancelling" in texts(browser.get(f"/jobs/{job_id}"))


def test_a_refusal_has_the_words_of_the_api(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    refused = browser.send(f"/jobs/{job_id}/cancel", f"/jobs/{job_id}")
    assert refused.status_code == 409
    problem = assert_problem(browser.http.post(f"/v1/jobs/{job_id}/cancel"), 409, "illegal_transition")
    assert problem["detail"] in texts(refused)


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry", "delete", "predictions", "evaluations"])
def test_nothing_happens_without_the_token(browser: Browser, jobs: Jobs, action: str) -> None:
    job_id = jobs.queued()
    browser.get("/")
    assert browser.post(f"/jobs/{job_id}/{action}").status_code == 403
    assert browser.http.get(f"/jobs/{job_id}/{action}").status_code in (404, 405)
    assert status_of(jobs, job_id) is Status.QUEUED


def test_a_key_that_only_reads_changes_nothing(protected: FastAPI, keys: Keyring, jobs: Jobs) -> None:
    job_id = jobs.queued()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(owner="a"))
    browser = signed_in(protected, keys, "a", Scope.READ)
    assert "/cancel" not in browser.get(f"/jobs/{job_id}").text
    refused = browser.send(f"/jobs/{job_id}/cancel", "/")
    assert refused.status_code == 403
    assert "jobs:write" in texts(refused)
    assert status_of(jobs, job_id) is Status.QUEUED


@pytest.fixture
def predicting(browser: Browser, settings: Settings) -> Iterator[Browser]:
    """With a stand-in for the program that predicts."""
    services = browser.app.state.services
    enabled = settings.model_copy(update={"predictions_enabled": True, "predictions_max_texts": 3})
    service = PredictionService(enabled, services.database, lambda _: [sys.executable, str(FAKE)])
    browser.app.state.services = type(services)(**{**vars(services), "settings": enabled, "predictions": service})
    yield browser
    service.close()


def test_trying_the_mask(predicting: Browser, jobs: Jobs) -> None:
    here = f"/jobs/{jobs.succeeded()}"
    answer = predicting.send(f"{here}/predictions", here, texts="<b>one</b>\r\n\r\ntwo")
    assert answer.status_code == 200
    assert "<b>one" not in answer.text
    assert "mask two" in texts(answer)
    refused = predicting.send(f"{here}/predictions", here, texts="a\nb\nc\nd")
    assert refused.status_code == 422
    assert "at most 3 texts" in texts(refused)
    assert predicting.send(f"{here}/predictions", here, texts=" ").status_code == 422


def test_trying_pairs(predicting: Browser, jobs: Jobs) -> None:
    here = f"/jobs/{jobs.succeeded(task='mrpc')}"
    assert 'name="pairs"' in predicting.get(here).text
    answer = predicting.send(f"{here}/predictions", here, texts="who?", pairs="me")
    assert "mask me" in texts(answer)


def test_where_nothing_is_predicted_there_is_no_box(browser: Browser, jobs: Jobs) -> None:
    services = browser.app.state.services
    off = PredictionService(services.settings.model_copy(update={"predictions_enabled": False}), services.database)
    browser.app.state.services = type(services)(**{**vars(services), "predictions": off})
    here = f"/jobs/{jobs.succeeded()}"
    assert "Try the mask" not in texts(browser.get(here))
    assert browser.send(f"{here}/predictions", here, texts="a").status_code == 501


def test_a_mask_is_evaluated_from_the_page_of_its_job(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    here = f"/jobs/{job_id}"
    fields = {"split": "train", "rows": "5", "dense": "true", "dataset": " "}
    answer = browser.send(f"{here}/evaluations", here, **fields)
    assert answer.status_code == 303
    made = answer.headers["Location"]
    page = browser.get(made)
    assert "Evaluates the mask of" in texts(page)
    assert f"espalier evaluate {job_id} --split train --rows 5 --dense" in page.text
    assert 'id="curves"' not in page.text
    listed = browser.get(here)
    assert f'href="{made}"' in listed.text
    assert "split train, the first 5 rows" in texts(listed)
    assert "evaluation: split train, the first 5 rows" in texts(browser.get("/?kind=evaluation"))
    assert f'href="{made}"' not in browser.get("/").text


def test_rows_that_cannot_be_evaluated_are_refused_on_the_page(browser: Browser, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    here = f"/jobs/{job_id}"
    refused = browser.send(f"{here}/evaluations", here, dataset="ds_" + "0" * 32, split="x")
    assert refused.status_code == 422
    assert "ds_000" in texts(refused)
    assert 'value="x"' in refused.text
    assert browser.send(f"{here}/evaluations", here, rows="many").status_code == 422
    running = jobs.running()
    assert 'id="evaluations"' not in browser.get(f"/jobs/{running}").text
