"""Pages of uploaded models: an upload without JavaScript, refusals, the list, and the way into a job."""

import re
from html import unescape
from pathlib import Path

import pytest
from fastapi import FastAPI
from markupsafe import escape

from service.access.api_keys import Scope
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.problems import Response, assert_problem
from tests.api.protected_app import Keyring
from tests.model_folders import make_model

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model(tmp_path / "toy")


def send(browser: Browser, folder: Path, name: str = "mine", token: str | None = None, leave_out: str = "") -> Response:
    files = [("file", (file.name, file.read_bytes())) for file in folder.iterdir() if file.name != leave_out]
    fields = {"form_token": browser.token("/models") if token is None else token, "name": name}
    headers = {"Accept": "text/html", "Origin": browser.base_url, "Sec-Fetch-Site": "same-origin"}
    return browser.http.post("/models", data=fields, files=files, headers=headers)


def test_from_the_files_to_the_job_and_to_its_end(browser: Browser, folder: Path) -> None:
    assert "No uploaded models yet" in texts(browser.get("/models"))
    answer = send(browser, folder, MARKUP)
    assert answer.status_code == 303, texts(answer)
    page = browser.get(answer.headers["Location"])
    model_id = answer.headers["Location"].removeprefix("/models/")
    stored = browser.http.get(f"/v1/models/{model_id}").json()
    for shown in (page, browser.get("/models")):
        assert MARKUP not in shown.text
        for text in (MARKUP, model_id, "bert"):
            assert text in texts(shown)
    assert all(file["sha256"] in page.text for file in (*stored["files"], stored))
    use = re.search(r'href="(/new\?[^"]+)"', page.text)
    assert use is not None
    form = browser.get(unescape(use[1])).text
    assert f'name="model" value="{model_id}"' in form
    assert f'<option value="{model_id}">{escape(MARKUP)}, bert</option>' in form
    job = browser.send("/new", "/new", model=model_id, task="sst2")
    assert job.status_code == 303, texts(job)
    delete = f"/models/{model_id}/delete"
    assert "model_in_use" in browser.send(delete, "/models").text
    assert browser.send(f"{job.headers['Location']}/cancel", "/models").status_code == 303
    assert browser.send(delete, "/models").headers["Location"] == "/models"
    assert browser.get(f"/models/{model_id}").status_code == 404


def test_a_refusal_is_worded_as_the_api_words_it(browser: Browser, folder: Path) -> None:
    page = send(browser, folder, leave_out="tokenizer.json")
    files = [("file", (file.name, file.read_bytes())) for file in folder.iterdir() if file.name != "tokenizer.json"]
    problem = assert_problem(browser.http.post("/v1/models", files=files), 422, "tokenizer_missing")
    assert page.status_code == 422
    assert "tokenizer_missing" in page.text
    assert problem["errors"][0]["detail"].partition(": ")[0].partition("'")[0] in texts(page)
    assert 'name="name" value="mine"' in page.text  # what was typed is there


def test_nothing_is_stored_without_the_token(browser: Browser, folder: Path) -> None:
    assert send(browser, folder, token="forged").status_code == 403
    assert browser.http.get("/v1/models").json()["data"] == []


def test_models_of_others_are_neither_shown_nor_offered(protected: FastAPI, keys: Keyring, folder: Path) -> None:
    one, other = signed_in(protected, keys, "a"), signed_in(protected, keys, "b")
    path = send(one, folder).headers["Location"]
    model_id = path.removeprefix("/models/")
    assert f'href="/new?model={model_id}"' in one.get(path).text
    assert other.get(path).status_code == 404
    assert "No uploaded models yet" in texts(other.get("/models"))
    assert model_id in one.get("/new").text
    assert model_id not in other.get("/new").text
    admin = signed_in(protected, keys, "c", Scope.ADMIN)
    assert "Use in a new job" not in admin.get(path).text  # a job of theirs would not find it
    assert model_id not in admin.get("/new").text
