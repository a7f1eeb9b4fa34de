"""HEAD, slashes at the end of paths, a proxy's path prefix, and HTTP/1.0, on a real socket."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from api.app import create_app
from espalier.cli.http_protocol import VersionedHttpProtocol
from service.settings import Settings
from tests import patient_http
from tests.api.conftest import Jobs
from tests.serving import serving

ROOT = "/prune/it"


@pytest.fixture
def options() -> dict[str, Any]:
    """Options of uvicorn."""
    return {"http": VersionedHttpProtocol}


@pytest.fixture
def url(settings: Settings, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    app = create_app(settings)
    config = uvicorn.Config
    monkeypatch.setattr(uvicorn, "Config", lambda *given, **more: config(*given, **more | options))
    with serving(app) as at:
        yield at


def paths(url: str) -> list[str]:
    """Every path of a GET route."""
    document = patient_http.get(f"{url}/openapi.json").json()
    return [path for path, operations in document["paths"].items() if "get" in operations]


def fill(path: str, job: str) -> str:
    names = {"job_id": job, "name": "mask.safetensors", "artifact_name": "mask.safetensors", "split": "train"}
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    return path


@pytest.mark.slow
def test_head_is_get_without_a_body_on_every_route(url: str, jobs: Jobs) -> None:
    job = jobs.queued()
    with httpx.Client(base_url=url, timeout=patient_http.SECONDS) as client:
        for template in [*paths(url), "/docs", "/redoc", "/openapi.json"]:
            path = fill(template, job)
            got, head = client.get(path), client.head(path)
            assert head.status_code == got.status_code, path
            assert head.content == b""
            assert head.headers.get("content-type") == got.headers.get("content-type"), path
            slashed = client.get(f"{path}/")
            assert slashed.status_code == got.status_code, path
            assert not slashed.is_redirect
        headers = {"Accept": "text/event-stream"}
        assert client.head(f"/v1/jobs/{job}/events", headers=headers).content == b""
        assert "HEAD" in client.patch("/v1/jobs").headers["Allow"]
        assert client.get("/livez").status_code == 200  # the connection is still usable


@pytest.mark.parametrize("path", ["/v1/jobs/", "/v1/jobs//"])
def test_a_slash_at_the_end_is_served_at_once(url: str, path: str) -> None:
    for method in ("GET", "POST"):
        response = patient_http.request(method, f"{url}{path}", json={}, headers={"X-Forwarded-Proto": "https"})
        assert response.status_code == (200 if method == "GET" else 422)
        assert "location" not in response.headers


def raw(url: str, request: str) -> tuple[str, bytes]:
    """Head and body of the response to a request as bytes, read until the connection is closed."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(request.encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode().lower(), body


@pytest.mark.parametrize("path", ["log", "metrics?format=csv", "events"])
def test_http_1_0_gets_plain_bodies(url: str, jobs: Jobs, path: str) -> None:
    job = jobs.succeeded()
    accept = "text/event-stream" if path == "events" else "*/*"
    head, body = raw(url, f"GET /v1/jobs/{job}/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n")
    assert " 200 " in head
    assert "transfer-encoding" not in head
    with httpx.Client(base_url=url, timeout=patient_http.SECONDS) as client:
        expected = client.get(f"/v1/jobs/{job}/{path}", headers={"Accept": accept})
    assert body == expected.content


@pytest.mark.parametrize("options", [{"http": VersionedHttpProtocol, "root_path": ROOT}])
def test_a_prefix_is_in_location_links_and_limits(url: str, options: dict[str, Any], tmp_path: Path) -> None:
    with httpx.Client(base_url=url, timeout=patient_http.SECONDS) as client:
        made = client.post("/v1/jobs", json={"model": "bert-base-uncased", "task": "sst2"})
        assert made.headers["Location"] == f"{ROOT}/v1/jobs/{made.json()['id']}"
        document = client.get("/openapi.json").json()
        assert document["servers"] == [{"url": ROOT}]
        assert f'src="{ROOT}/docs/assets/' in client.get("/docs").text
        rows = "body,queue\n" + "".join(f"{'x' * 1000} {i},{i % 2}\n" for i in range(1500))
        files = {"train": ("train.csv", rows), "validation": ("validation.csv", rows)}
        uploaded = client.post("/v1/datasets", files=files, timeout=60)
        assert uploaded.status_code == 201, uploaded.text  # above 1 MiB, so the limit of uploads was found
        assert uploaded.headers["Location"].startswith(f"{ROOT}/v1/datasets/")
        assert client.patch("/v1/jobs").headers["Allow"] == "GET, HEAD, POST"
