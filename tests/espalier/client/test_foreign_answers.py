"""Answers of something that is no Espalier service: redirects, sign-in pages, JSON of other programs, empty bodies."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from espalier.client._sync.client import Client
from espalier.client.resource import list_of_texts, resource_path
from espalier.errors import NotEspalierError

CALLS: dict[str, Callable[[Client], Any]] = {
    "get": lambda client: client.get("job_1"),
    "submit": lambda client: client.submit(model="a", task="b"),
    "list": lambda client: list(client.list()),
    "events": lambda client: list(client.events("job_1")),
    "live events": lambda client: list(client.events("job_1", live=True, patience=0)),
    "metrics": lambda client: list(client.metrics("job_1")),
    "exports": lambda client: list(client.exports("job_1")),
    "predict": lambda client: client.predict("job_1", ["a"]),
    "datasets": lambda client: list(client.datasets()),
    "rows": lambda client: client.dataset_rows("ds_1"),
    "sweep": lambda client: client.get_sweep("sweep_1"),
    "webhooks": lambda client: list(client.webhooks()),
    "deliveries": lambda client: client.webhook_deliveries("wh_1"),
    "tasks": lambda client: client.tasks(),
    "ready": lambda client: client.ready(),
    "token": lambda client: client.set_hub_token("hf_hush"),
}
MOVED = ("301", "302", "303", "307", "308")
ANSWERS = {
    **{status: httpx.Response(int(status), headers={"Location": "https://new.test/x"}) for status in MOVED},
    "redirect to nowhere": httpx.Response(302),
    "html": httpx.Response(200, html="<html><title>Sign in</title></html>"),
    "other JSON": httpx.Response(200, json={"hello": "world"}),
    "list": httpx.Response(200, json=[1, 2]),
    "null": httpx.Response(200, content=b"null", headers={"Content-Type": "application/json"}),
    "number": httpx.Response(200, json=7),
    "no content": httpx.Response(204),
    "not UTF-8": httpx.Response(200, content=b"\xff\xfe{", headers={"Content-Type": "application/json"}),
    "wrong fields": httpx.Response(200, json={"id": 7, "data": [7], "checks": 7}),
    "wrong data": httpx.Response(200, json={"data": {"a": 1}, "checks": []}),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_names_what_is_not_espalier(call: str, answer: str) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return ANSWERS[answer]

    if call in ("live events", "rows") and answer not in MOVED:
        return  # a stream without messages ends like one that broke; rows may hold anything
    client = Client("http://other.test", "esp_hush", transport=httpx.MockTransport(handler))
    with client, pytest.raises(NotEspalierError) as found:
        CALLS[call](client)
    message = str(found.value)
    assert "\n" not in message
    assert "hush" not in message
    assert ("https://new.test/x" in message) == (answer in MOVED)
    assert {request.url.host for request in asked} == {"other.test"}
    assert len({request.method for request in asked}) == 1


def test_ids_are_one_segment_of_a_path() -> None:
    assert resource_path("jobs", "a/../b?c#d e\n") == "/v1/jobs/a%2F..%2Fb%3Fc%23d%20e%0A"
    for empty in ("", ".", ".."):
        with pytest.raises(ValueError, match="jobs"):
            resource_path("jobs", empty)
    with pytest.raises(TypeError, match="int"):
        resource_path("jobs", 7)


def test_one_text_is_one_text() -> None:
    assert list_of_texts("a film") == ["a film"]
    assert list_of_texts(("a", "b")) == ["a", "b"]
    assert list_of_texts([("a", "b"), ["c", "d"]]) == [("a", "b"), ("c", "d")]
    assert list_of_texts([["a"], ["b", "c", "d"]]) == [("a",), ("b", "c", "d")]
    for wrong in (b"a", 7, None, {"a": "b"}, {"a"}, [7], [None], [()], [("a", 7)], [b"a"]):
        with pytest.raises(TypeError):
            list_of_texts(wrong)  # type: ignore[arg-type]  # what callers without types give
