"""Documentation pages: served from our own origin alone, with vendored scripts of known digests and licences."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.routes.docs import ASSETS
from scripts.npm_package import STATIC
from scripts.vendor_assets import MANIFEST_NAME, PACKAGES
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


@pytest.mark.parametrize("folder", {package.folder for package in PACKAGES})
def test_every_vendored_file_is_the_one_that_was_fetched(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST_NAME).read_text("utf-8"))
    assert {file.name for file in folder.iterdir()} == {*manifest, MANIFEST_NAME}
    for name, about in manifest.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == about["sha256"], name
        package = next(package for package in PACKAGES if package.name == about["package"])
        assert (package.version, package.license, package.folder) == (about["version"], about["license"], folder)
    for package in PACKAGES:
        assert any(name.endswith("LICENSE.txt") for name in package.files.values())


def test_what_the_pages_load_is_vendored() -> None:
    assert set(ASSETS) <= set(json.loads((STATIC / MANIFEST_NAME).read_text("utf-8")))
