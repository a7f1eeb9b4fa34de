"""Documentation pages: served from our own origin alone, with vendored scripts of known digests and licences."""

import hashlib
import json
import re

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.routes.docs import ASSETS
from scripts.vendor_assets import MANIFEST, PACKAGES, STATIC
from service.settings import Settings


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_pages_load_nothing_from_other_hosts(page: str, settings: Settings) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        served = client.get(page)
        assert served.headers["Content-Type"].startswith("text/html")
        policy = served.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy
        assert not re.search(r"<script>|\son\w+=|https?://", served.text)
        links = re.findall(r'(?:src|href|spec-url)="([^"]+)"', served.text)
        assert links
        for link in links:
            assert link.startswith("/")
            assert client.get(link).status_code == 200, link
        assert client.get("/docs/assets/manifest.json").status_code == 404
        assert client.get("/docs/assets/..%2F..%2Fapp.py").status_code == 404


def test_every_vendored_file_is_the_one_that_was_fetched() -> None:
    manifest = json.loads(MANIFEST.read_text("utf-8"))
    assert {file.name for file in STATIC.iterdir()} == {*manifest, MANIFEST.name}
    assert set(ASSETS) <= set(manifest)
    for name, about in manifest.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == about["sha256"], name
        package = next(package for package in PACKAGES if package.name == about["package"])
        assert (package.version, package.license) == (about["version"], about["license"])
    for package in PACKAGES:
        assert any(name.endswith("LICENSE.txt") for name in package.files.values())
