"""The API behind a path of a real nginx, which takes the path off or leaves it on: links lead through the proxy."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from api.app import create_app
from espalier import Client
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.nginx import nginx
from tests.serving import serving

PREFIX = "/prune/it"


@pytest.fixture(params=["taken off", "left on"])
def proxied(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The URL of the API, with the prefix."""
    slash = "/" if request.param == "taken off" else ""
    with (
        serving(create_app(settings.model_copy(update={"root_path": PREFIX}))) as api,
        nginx(f"location {PREFIX}/ {{ proxy_pass {api}{slash}; }}", tmp_path) as origin,
    ):
        yield f"{origin}{PREFIX}"


def test_what_the_api_answers_with_leads_through_the_proxy(proxied: str, jobs: Jobs, database: Database, tmp_path: Path) -> None:
    origin, job_id = proxied.removesuffix(PREFIX), jobs.succeeded()
    with httpx.Client(timeout=60) as client:
        made = client.post(f"{proxied}/v1/jobs", json={"model": "bert-base-uncased", "task": "sst2"})
        assert made.headers["Location"] == f"{PREFIX}/v1/jobs/{made.json()['id']}"
        assert client.get(origin + made.headers["Location"]).json()["id"] == made.json()["id"]
        shown = [
            client.get(f"{proxied}/v1/jobs/{job_id}").json()["artifacts"],
            client.get(f"{proxied}/v1/jobs/{job_id}/artifacts").json()["data"],
            next(job for job in client.get(f"{proxied}/v1/jobs").json()["data"] if job["id"] == job_id)["artifacts"],
        ]
        urls = {artifact["url"] for artifacts in shown for artifact in artifacts if artifact["name"] == "mask.safetensors"}
        assert urls == {f"{PREFIX}/v1/jobs/{job_id}/artifacts/mask.safetensors"}
        assert client.get(origin + urls.pop()).is_success
        assert client.get(f"{proxied}/openapi.json").json()["servers"] == [{"url": PREFIX}]
        assert f'src="{PREFIX}/docs/assets/' in client.get(f"{proxied}/docs/").text
        assert client.get(f"{origin}{PREFIX}/docs/assets/start.js").is_success
    with Client(proxied) as ours:
        assert ours.download(job_id, "mask.safetensors", tmp_path / "mask").stat().st_size > 0


@pytest.mark.parametrize("value", ["prune", "/prune/", "//other.host", "/a?b", "/a b"])
def test_a_prefix_that_is_no_path_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        Settings(data_dir=tmp_path, root_path=value)
