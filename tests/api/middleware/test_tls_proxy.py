"""The API behind TLS and a path of a real nginx, set up as the operations page says: pages, cookies, forms, events, uploads."""

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from api.app import create_app
from service.access.api_keys import Scope
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.api.protected_app import Keyring
from tests.certificates import certificates_in
from tests.nginx import nginx
from tests.processes import ROOT
from tests.serving import serving

PREFIX = "/espalier"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def documented_location(api: str) -> str:
    """The block of the operations page, in front of the API of this test."""
    (block,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/how-to/deploy.md").read_text(), re.DOTALL)
    return str(block).replace("http://127.0.0.1:8000", api)


@pytest.fixture
def browser(settings: Settings, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the proxy, which trusts its certificate."""
    certificates = certificates_in(tmp_path)
    app = create_app(settings.model_copy(update={"root_path": PREFIX, "require_keys": True}))
    trust = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    with serving(app) as api, nginx(documented_location(api), tmp_path, certificates) as origin:
        headers = {"Accept": "text/html", "Origin": origin}
        with httpx.Client(base_url=f"{origin}{PREFIX}", verify=trust, headers=headers, timeout=60) as client:
            yield client


@pytest.fixture
def bearer(database: Database) -> dict[str, str]:
    return Keyring(database).header_of("local", Scope.READ, Scope.WRITE)


def test_a_browser_signs_in_and_follows_links_inside_the_prefix(browser: httpx.Client, bearer: dict[str, str], jobs: Jobs) -> None:
    job_id, origin = jobs.queued(), str(browser.base_url).removesuffix(f"{PREFIX}/")
    signed_in = browser.post("/signin", data={"key": bearer["Authorization"].split()[1], "next": f"{PREFIX}/"})
    assert (signed_in.status_code, urlsplit(signed_in.headers["Location"]).path) == (303, f"{PREFIX}/signin")
    assert signed_in.headers["Set-Cookie"]
    page = browser.get("/")
    assert page.status_code == 200
    paths = set(re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text))
    assert all(path.startswith(f"{PREFIX}/") for path in paths)
    assert f"{PREFIX}/jobs/{job_id}" in paths
    assert all(browser.get(origin + path).status_code == 200 for path in paths if "signout" not in path)
    shown = browser.get(f"{origin}{PREFIX}/jobs/{job_id}").text
    assert f"{origin}{PREFIX}" in shown, "what a page tells to copy has the scheme and host of the proxy"
    token = re.search(r'name="form_token" value="(\w+)"', shown)
    assert token is not None
    assert browser.post("/signout", data={"form_token": token[1]}).status_code == 303


def test_events_come_as_they_happen(browser: httpx.Client, bearer: dict[str, str], jobs: Jobs) -> None:
    job_id = jobs.running()
    with browser.stream("GET", f"/v1/jobs/{job_id}/events", headers={**bearer, "Accept": "text/event-stream"}) as stream:
        lines = stream.iter_lines()
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        jobs.event(job_id, "log", message="while the stream is open")
        assert any("while the stream is open" in line for line in lines)  # the job never ends, nor does the stream


def test_uploads_pass_up_to_the_limit_of_the_service(browser: httpx.Client, bearer: dict[str, str]) -> None:
    row = json.dumps({"text": "a fine film " * 100, "label": 1}) + "\n"
    large = row * (3 * 1024 * 1024 // len(row))  # nginx refuses more than 1 MiB by itself
    files = {"train": ("train.jsonl", large), "validation": ("validation.jsonl", row * 2)}
    made = browser.post("/v1/datasets", files=files, headers={**bearer, "Accept": "application/json"})
    assert made.status_code == 201, made.text
    assert made.headers["Location"].startswith(f"{PREFIX}/v1/datasets/")
