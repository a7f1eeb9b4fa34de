"""Pages of data sets: an upload without JavaScript, refusals next to their files, the preview, and the way into a job."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI

from service.access.api_keys import Scope
from service.concurrency import ConcurrencyLimiter
from service.settings import Settings
from tests.api.pages.browser_client import MARKUP, Browser, texts
from tests.api.pages.test_access import signed_in
from tests.api.problems import Response, assert_problem
from tests.api.protected_app import Keyring

TRAIN = "body;queue\n" + "".join(f"help me {n};{('open', 'shut')[n % 2]}\n" for n in range(30))
DEV = "body;queue\nhello;open\nbye;shut\nwhat;open\n"
EMPTY: Any = ("", b"", "application/octet-stream")
"""What a browser sends of a file that was not chosen."""


def send(
    browser: Browser,
    train: Any = TRAIN,
    dev: Any = DEV,
    name: str = "tickets",
    token: str | None = None,
    further: tuple[tuple[str, Any], ...] = (),
) -> Response:
    """Send the form as a browser does: httpx would make a field of a file without a name."""
    secret = browser.token("/datasets") if token is None else token
    fields: list[tuple[str, Any, str | None]] = [("form_token", secret, None), ("name", name, None)]
    fields += [(f"further-{number}-name", split, None) for number, (split, _) in enumerate(further, 1)]
    files = [("train", train), ("validation", dev), *((f"further-{n}", file) for n, (_, file) in enumerate(further, 1))]
    for split, content in files:
        given = content if isinstance(content, tuple) else (f"{split}.csv", content, "text/csv")
        fields.append((split, given[1], f'; filename="{given[0]}"\r\nContent-Type: {given[2]}'))
    body = b"".join(
        f'--limit\r\nContent-Disposition: form-data; name="{field}"{more or ""}\r\n\r\n'.encode()
        + (content.encode() if isinstance(content, str) else content)
        + b"\r\n"
        for field, content, more in fields
    )
    headers = {
        "Accept": "text/html",
        "Origin": browser.base_url,
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "multipart/form-data; boundary=limit",
    }
    return browser.http.post("/datasets", content=body + b"--limit--\r\n", headers=headers)


def faults(page: Response) -> dict[str, str]:
    return dict(re.findall(r'<p class="fault" id="([\w-]+)-fault">(.*?)</p>', page.text, re.DOTALL))


def test_from_the_files_to_the_job(browser: Browser) -> None:
    answer = send(browser)
    assert answer.status_code == 303, texts(answer)
    page = browser.get(answer.headers["Location"])
    shown_texts = texts(page)
    for text in (
        "tickets",
        "Text body",
        "Label queue 2 classes",
        "train 30 rows",
        "cells are separated by semicolon",
        "help me 0",
        "queue label: 2 classes text 30 open, shut",
    ):
        assert text in shown_texts
    use = re.search(r'href="(/new\?[^"]+)"', page.text)
    assert use is not None
    form = browser.get(unescape(use[1])).text
    assert f'value="{answer.headers["Location"].removeprefix("/datasets/")}"' in form
    assert 'name="task.text" value="body"' in form
    assert 'name="task.label" value="queue"' in form
    assert "open\nshut</textarea>" in form
    fields = parse_qs(urlsplit(unescape(use[1])).query)
    assert browser.send("/new", "/new", model="bert-base-uncased", **fields).status_code == 303


def test_the_list_and_its_pages(browser: Browser) -> None:
    assert "No data sets yet" in texts(browser.get("/datasets"))
    for n in range(21):
        assert send(browser, dev=f"body;queue\nhello {n};open\n").status_code == 303
    first = browser.get("/datasets")
    assert first.text.count('href="/datasets/ds_') == 20
    older = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert older is not None
    assert browser.get(unescape(older[1])).text.count('href="/datasets/ds_') == 1


def test_an_upload_of_one_file_says_what_is_missing(browser: Browser) -> None:
    page = browser.get(send(browser, dev=EMPTY, name="").headers["Location"])
    assert "There is no validation split" in texts(page)


REFUSED = [
    ({"train": EMPTY, "dev": EMPTY}, "train"),
    ({"train": "body;queue\na;b\nonly one\n"}, "train"),
    ({"dev": ("dev.csv", b"\xff\xfe\x00bad", "text/csv")}, "validation"),
    ({"name": "x" * 101}, "name"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED)
def test_refusals_are_shown_next_to_their_files_in_the_words_of_the_api(
    browser: Browser, changes: dict[str, Any], field: str
) -> None:
    page = send(browser, **changes)
    chosen = {"train": changes.get("train", TRAIN), "validation": changes.get("dev", DEV)}
    files = {
        split: content if isinstance(content, tuple) else (f"{split}.csv", content)
        for split, content in chosen.items()
        if content is not EMPTY
    }
    assert page.status_code == 422
    assert [*faults(page)] == [field]
    assert f'name="name" value="{changes.get("name", "tickets")}"' in page.text  # what was typed is there
    if files:
        answer = browser.http.post("/v1/datasets", files=files, data={"name": changes.get("name", "tickets")})
        detail = assert_problem(answer, 422, "dataset_invalid")["errors"][0]["detail"]
        assert unescape(faults(page)[field]) == detail


def test_what_is_no_file_that_can_be_read(browser: Browser) -> None:
    page = send(browser, train=("train.docx", b"PK", "application/msword"))
    assert page.status_code == 415
    assert "Nothing was stored" in texts(page)


def test_nothing_is_stored_without_the_token(browser: Browser, protected: FastAPI, keys: Keyring) -> None:
    for token in ("", "0" * 64):
        browser.get("/")
        assert send(browser, token=token).status_code == 403
    assert browser.http.get("/v1/datasets").json()["data"] == []
    reader = signed_in(protected, keys, "a", Scope.READ)
    assert reader.get("/datasets").status_code == 200
    assert "upload-form" not in reader.get("/datasets").text
    assert send(reader, token=reader.token("/datasets")).status_code == 403
    assert send(Browser(protected), token="0" * 64).headers["Location"].startswith("/signin")


def test_an_upload_waits_for_its_place_like_those_of_the_api(browser: Browser) -> None:
    services = browser.app.state.services
    full = ConcurrencyLimiter(0, 0)
    browser.app.state.services = type(services)(**{**vars(services), "upload_slots": full})
    page = send(browser)
    assert page.status_code == 503
    assert page.headers["Retry-After"]
    assert 'value="tickets"' not in page.text  # it was not received


def test_large_files_are_let_through_to_the_limit_of_data_sets(settings: Settings, browser: Browser) -> None:
    large = "body;queue\n" + ("y" * (settings.max_body_bytes // 4) + ";open\n") * 5
    assert len(large) > settings.max_body_bytes
    assert send(browser, train=large).status_code == 303


def test_owners_see_their_own(protected: FastAPI, keys: Keyring) -> None:
    one, other = signed_in(protected, keys, "a"), signed_in(protected, keys, "b")
    here = send(one, token=one.token("/datasets")).headers["Location"]
    assert one.get(here).status_code == 200
    assert other.get(here).status_code == 404
    assert here not in other.get("/datasets").text
    assert other.send(f"{here}/delete", "/datasets").status_code == 404
    admin = signed_in(protected, keys, "c", Scope.ADMIN)
    assert "Use in a new job" not in texts(admin.get(here))  # a job of theirs could not read it
    assert one.send(f"{here}/delete", here).headers["Location"] == "/datasets"
    assert one.get(here).status_code == 404


def test_markup_in_files_stays_text(browser: Browser) -> None:
    rows = f"{MARKUP};label\n" + f"{MARKUP};{MARKUP}\n" * 3
    page = browser.get(send(browser, train=rows, dev=EMPTY, name=MARKUP).headers["Location"])
    assert MARKUP not in page.text
    assert MARKUP in texts(page)
    assert MARKUP not in browser.get("/datasets").text


def test_further_splits_have_the_names_that_are_typed(browser: Browser) -> None:
    answer = send(browser, further=(("test", DEV), ("", EMPTY), ("dev-2024", TRAIN)))
    assert answer.status_code == 303, texts(answer)
    shown_texts = texts(browser.get(answer.headers["Location"]))
    for text in ("train 30 rows", "validation 3 rows", "test 3 rows", "dev-2024 30 rows"):
        assert text in shown_texts


@pytest.mark.parametrize(("name", "field"), [("", "further-1"), ("a/b", "further-1"), ("train", "train"), ("test", "further-1")])
def test_faults_of_a_further_split_are_shown_next_to_it(browser: Browser, name: str, field: str) -> None:
    refused = send(browser, further=((name, "body;queue\n" if name == "test" else DEV),))
    assert refused.status_code == 422
    assert faults(refused).keys() == {field}
    assert f'value="{name}"' in refused.text
