"""Form for a new job: made of the whole schema, sends what is typed, refuses in the words of the API, and offers what there is."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.errors.validation import refused_body
from api.pages.job_form import body_of, field_at, job_form, query_of
from api.schemas.job_request import JobRequest
from pruning.spec.custom_task import CustomTask
from service.access.api_keys import Scope
from service.db.engine import Database
from service.jobs import queries
from tests.api.conftest import BODY, Jobs
from tests.api.pages.browser_client import MARKUP, Browser, faults, texts
from tests.api.pages.test_access import signed_in
from tests.api.problems import Response, assert_problem
from tests.api.protected_app import Keyring
from tests.api.submission.test_dry_run import finished

ROWS = b"body,queue\nhelp me,open\nthanks,shut\n"


def stored(database: Database, answer: Response) -> dict[str, Any]:
    assert answer.status_code == 303, texts(answer)
    with database.read() as session:
        return queries.get(session, answer.headers["Location"].removeprefix("/jobs/")).spec


def test_every_field_of_the_schema_has_a_control_and_a_description(strict_client: TestClient) -> None:
    browser = Browser(cast(FastAPI, strict_client.app))
    fields = {field.name: field for field in job_form().fields}
    expected = {*JobRequest.model_fields, *(f"task.{name}" for name in CustomTask.model_fields)} - {"version", "webhook"}
    assert fields.keys() == expected | {"webhook.url", "webhook.secret", "webhook.events"}
    page = browser.get("/new").text
    for field in fields.values():
        assert field.description
        assert f'name="{field.name}"' in page


def test_the_least_that_can_be_sent(browser: Browser, database: Database) -> None:
    spec = stored(database, browser.send("/new", "/new", **BODY, sparsity="", prior="", exports=[]))
    assert spec == JobRequest(**BODY).spec.model_dump(mode="json")


def test_all_kinds_of_fields_arrive_as_their_type(browser: Browser, database: Database) -> None:
    typed = {
        **BODY,
        "sparsity": "0.97",
        "max_steps": "100",
        "prior": "null",
        "calibrate_logits": "false",
        "label_words": "bad\r\ngood\r\n",
        "seed": "7",
        "class_weights": "0.5, 2",
        "exports": ["compact", "onnx"],
        "metadata": "team = nlp\r\nurl=a=b",
        "sparsity_by": "*.query = 0.98\r\nlayer.0.*=0",
    }
    answer = browser.send("/new", "/new", **typed)
    spec = stored(database, answer)
    assert (spec["sparsity"], spec["max_steps"], spec["prior"], spec["seed"]) == (0.97, 100, None, 7)
    assert (spec["calibrate_logits"], spec["label_words"]) == (False, ["bad", "good"])
    assert spec["class_weights"] == [0.5, 2]
    job = browser.http.get(f"/v1{answer.headers['Location']}").json()
    assert (job["exports"], job["metadata"]) == (["compact", "onnx"], {"team": "nlp", "url": "a=b"})


def test_a_custom_task_on_an_uploaded_data_set(browser: Browser, database: Database) -> None:
    dataset = browser.http.post("/v1/datasets", files={"train": ("t.csv", ROWS), "validation": ("v.csv", ROWS)}).json()
    typed = {
        "model": "bert-base-uncased",
        "task": "custom",
        "task.dataset": dataset["id"],
        "task.text": ["body", ""],
        "task.label": "queue",
        "task.labels": "open\nshut",
    }
    offered = browser.get("/new").text
    assert f'<option value="{dataset["id"]}">' in offered
    named = browser.get(f"/new?task=custom&task.dataset={dataset['id']}").text
    assert '<datalist id="columns"><option value="body"></option><option value="queue">' in named
    task = stored(database, browser.send("/new", "/new", **typed))["task"]
    assert (task["dataset"], task["text"], task["labels"]) == (dataset["id"], ["body"], ["open", "shut"])


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "model"),
    ({"sparsity": "90"}, {"sparsity": 90}, "sparsity"),
    ({"sparsity": "a lot"}, {"sparsity": "a lot"}, "sparsity"),
    ({"batch_size": "3.5"}, {"batch_size": 3.5}, "batch_size"),
    ({"max_steps": "9" * 5000}, {"max_steps": "9" * 5000}, "max_steps"),
    ({"epochs": "1", "max_steps": "5"}, {"epochs": 1, "max_steps": 5}, "epochs"),
    ({"metadata": "no sign"}, {"metadata": "no sign"}, "metadata"),
    ({"sparsity_by": "no sign"}, {"sparsity_by": "no sign"}, "sparsity_by"),
    ({"sparsity_by": "*.query = much"}, {"sparsity_by": {"*.query": "much"}}, "sparsity_by"),
    ({"label_words": "one"}, {"label_words": ["one"]}, "label_words"),
    ({"class_weights": "even"}, {"class_weights": "even"}, "class_weights"),
    ({"class_weights": "1, two"}, {"class_weights": "1, two"}, "class_weights"),
    ({"class_weights": "1, 0"}, {"class_weights": [1, 0]}, "class_weights"),
    ({"class_weights": "1 2 3"}, {"class_weights": [1, 2, 3]}, "class_weights"),
    ({"webhook.url": "https://example.com"}, {"webhook": {"url": "https://example.com"}}, "webhook.secret"),
    (
        {"task": "custom", "task.dataset": "a b", "task.text": ["t", ""]},
        {"task": {"dataset": "a b", "text": ["t"]}},
        "task.dataset",
    ),
]


@pytest.mark.parametrize(("typed", "body", "name"), WRONG)
def test_refusals_are_shown_next_to_their_fields_in_the_words_of_the_api(
    strict_client: TestClient, typed: dict[str, Any], body: dict[str, Any], name: str
) -> None:
    browser = Browser(cast(FastAPI, strict_client.app))
    least = BODY if typed else {}
    page = browser.send("/new", "/new", **{**least, **typed})
    response = assert_problem(browser.http.post("/v1/jobs", json={**least, **body}), 422, "invalid_request")
    assert page.status_code == 422
    assert name in faults(page)
    assert sorted(faults(page).values()) == sorted(fault["detail"] for fault in response["errors"])
    assert f'name="{name}"' in page.text
    assert page.text.count("autofocus") == 1
    for field, value in typed.items():  # what was typed is there
        assert unescape(page.text).count(value if isinstance(value, str) else value[0]) >= 1, field


def test_no_refusal_repeats_a_secret(strict_client: TestClient) -> None:
    browser = Browser(cast(FastAPI, strict_client.app))
    typed = {**BODY, "webhook.url": "https://example.com", "webhook.secret": "hunter2"}
    page = browser.send("/new", "/new", **typed)
    assert (page.status_code, [*faults(page)]) == (422, ["webhook.secret"])
    assert "hunter2" not in page.text
    with pytest.raises(ValidationError) as raised:
        JobRequest.model_validate({**BODY, "webhook": {"url": "https://example.com", "secret": 1234567}})
    assert "1234567" not in str([fault["msg"] for fault in refused_body(raised.value, JobRequest).errors()])


def test_faults_that_admission_finds_are_shown_next_to_their_fields(browser: Browser) -> None:
    typed = {"model": "m", "task": "custom", "task.dataset": "ds_" + "0" * 32, "task.text": ["body", ""], "task.labels": "a\nb"}
    page = browser.send("/new", "/new", **typed)
    assert (page.status_code, [*faults(page)]) == (422, ["task.dataset"])
    assert '<details class="group" open>' not in page.text


def test_another_owners_data_sets_are_not_offered(protected: FastAPI, keys: Keyring) -> None:
    mine, theirs = (
        signed_in(protected, keys, owner)
        .http.post("/v1/datasets", files={"train": ("t.csv", ROWS)}, headers=keys.header_of(owner))
        .json()["id"]
        for owner in ("a", "b")
    )
    page = signed_in(protected, keys, "a", Scope.READ, Scope.WRITE, Scope.ADMIN).get("/new").text
    assert mine in page
    assert theirs not in page


def test_the_estimate_before_it_is_sent(browser: Browser, database: Database) -> None:
    page = browser.send("/new", "/new", **BODY, batch_size="32", epochs="1", do="estimate")
    assert page.status_code == 200
    assert "2,105 of 32 rows" in texts(page)
    assert 'value="32"' in page.text
    token = browser.token("/new")
    fragment = browser.post("/new", {"HX-Request": "true"}, form_token=token, **BODY)
    assert fragment.status_code == 200
    assert "<html" not in fragment.text
    defaults = re.search(r'data-defaults="([^"]+)"', fragment.text)
    assert defaults is not None
    assert json.loads(unescape(defaults[1]))["batch_size"] == "64"
    half = browser.post("/new", {"HX-Request": "true"}, form_token=token, model="m")
    assert (half.status_code, "No estimate" in texts(half)) == (200, True)
    assert browser.http.get("/v1/jobs").json()["data"] == []


def test_the_estimate_tells_the_time_of_runs_like_it(browser: Browser, jobs: Jobs) -> None:
    finished(jobs, rate=100.0)
    typed = {**BODY, "max_steps": "1000", "batch_size": "8", "sparsity": "0.97", "do": "estimate"}
    response = texts(browser.send("/new", "/new", **typed))
    assert "Time 1 min 30 s 100 rows/s in 1 run like it" in response
    assert "Queued before it 0" in response


def test_warnings_are_shown_before_and_after_it_is_sent(browser: Browser) -> None:
    typed = {**BODY, "max_steps": "10", "sparsity": "0.97"}
    response = browser.http.post("/v1/jobs?dry_run=true", json={**BODY, "max_steps": 10, "sparsity": 0.97}).json()["warnings"]
    assert [warning["code"] for warning in response] == ["budget_small"]
    words = f"Warning: {response[0]['message']}. {response[0]['remedy']}".replace("`", " ").split()
    estimate = browser.send("/new", "/new", **typed, do="estimate")
    job = browser.get(browser.send("/new", "/new", **typed).headers["Location"])
    for page in (estimate, job):
        assert " ".join(words) in " ".join(texts(page).split())


def test_sent_twice_it_is_one_job(browser: Browser) -> None:
    page = browser.get("/new").text
    hidden: dict[str, Any] = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
    first, again = (browser.post("/new", **hidden, **BODY).headers["Location"] for _ in range(2))
    other = browser.post("/new", **hidden, **BODY, seed="1").headers["Location"]
    assert first == again != other


def test_a_link_can_fill_the_form_and_markup_stays_text(strict_client: TestClient) -> None:
    browser = Browser(cast(FastAPI, strict_client.app))
    page = browser.get(f"/new?model={MARKUP}&task={MARKUP}&metadata={MARKUP}&sparsity=0.5&webhook.secret=whsec_x")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    assert 'name="sparsity" value="0.5"' in page.text
    assert "whsec_x" not in page.text  # a secret is never shown back
    assert not re.search(r"<style|\sstyle=|<script>", page.text)


def test_a_field_that_a_job_does_not_have_is_named(browser: Browser) -> None:
    page = browser.get("/new?lr=1&task=sst2&task.columns=a").text
    assert "<code>lr</code>, <code>task.columns</code>" in page
    refused = browser.send("/new", "/new", task="sst2")
    assert "A job has no field" not in texts(refused)


def test_keys_that_only_read_find_no_form(protected: FastAPI, keys: Keyring) -> None:
    browser = signed_in(protected, keys, "a", Scope.READ)
    assert browser.get("/new").status_code == 403
    assert "/new" not in browser.get("/").text
    writer = signed_in(protected, keys, "a")
    assert writer.post("/new", **BODY).status_code == 403  # without the token of the session
    assert writer.send("/new", "/new", **BODY).status_code == 303


def test_local_models_are_offered(client_with: Callable[..., TestClient], tmp_path: Path) -> None:
    for name in ("mine", "org/theirs"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text("{}")
    browser = Browser(cast(FastAPI, client_with(models_dir=tmp_path / "models").app))
    with browser.http:
        offered = re.search(r'<datalist id="models">(.*?)</datalist>', browser.get("/new").text)
    assert offered is not None
    assert re.findall(r'value="([^"]+)"', offered[1]) == ["mine", "org/theirs"]


REPEATED: list[dict[str, Any]] = [
    BODY,
    {
        **BODY,
        "prior": None,
        "sparsity": 0.97,
        "seed": 7,
        "one_shot": False,
        "label_words": ["bad, really", ["good", '5 " pipe', "a"], '"q"'],
        "learning_rate": 1e-5,
    },
    {**BODY, "class_weights": "balanced"},
    {**BODY, "head": "classifier", "pooling": "mean"},
    {**BODY, "class_weights": [0.25, 1e-07]},
    {**BODY, "exports": ["compact", "onnx"], "metadata": {"team": "nlp", "url": "a=b"}, "priority": -3},
    {**BODY, "sparsity_by": {"*.attention.*": 0.8, "encoder.layer.0.*": 0}},
    {"model": "m", "task": {"dataset": "d", "text": ["a", "b"], "labels": ["no & so", "yes"], "label": "y"}},
]


@pytest.mark.parametrize("body", REPEATED)
def test_a_link_fills_the_form_with_a_body(body: dict[str, Any]) -> None:
    query = query_of(body)
    assert query is not None
    assert body_of(parse_qs(query)) == body


def test_a_body_too_long_for_a_link_has_none() -> None:
    assert query_of({**BODY, "label_words": ["x" * 50] * 400}) is None


def test_a_job_can_be_changed_and_submitted_again(browser: Browser, database: Database) -> None:
    first = browser.send("/new", "/new", **BODY, sparsity="0.97", max_steps="1000")
    link = re.search(r'href="(/new\?[^"]+)"', browser.get(first.headers["Location"]).text)
    assert link is not None
    form = browser.get(unescape(link[1])).text
    assert 'name="sparsity" value="0.97"' in form
    again = browser.send("/new", "/new", **parse_qs(urlsplit(unescape(link[1])).query))
    assert again.headers["Location"] != first.headers["Location"]
    assert stored(database, again) == stored(database, first)


def test_pointers_lead_to_controls() -> None:
    assert field_at("/task/text/0") == "task.text"
    assert field_at("/exports/1") == "exports"
    assert field_at("/webhook") is None
    assert body_of({"task": ["sst2"], "task.dataset": ["left over"]}) == {"task": "sst2"}
