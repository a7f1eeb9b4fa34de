"""Digests of images, asked of a small registry with tokens as Docker Hub has them."""

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from scripts.pin_images import _IMAGE, FILES, Image, PinError, pin
from tests.http_servers import Quiet
from tests.processes import ROOT

OLD = "0" * 64


class Registry(ThreadingHTTPServer):
    """Serves ``manifests``, by path, to who has fetched a token for that repository."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manifests: dict[str, bytes] = {}
        self.claimed: dict[str, str] = {}
        """Digests that it announces in place of the right ones."""
        self.host = f"127.0.0.1:{self.server_address[1]}"

    def add(self, repository: str, tag: str, manifest: bytes) -> str:
        self.manifests[f"/v2/{repository}/manifests/{tag}"] = manifest
        return f"{self.host}/{repository}:{tag}"


class _Handler(Quiet, BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._answer(200, b'{"token": "for %s"}' % parse_qs(parts.query)["scope"][0].encode())
            return
        scope = f"repository:{parts.path.split('/manifests/')[0].removeprefix('/v2/')}:pull"
        if self.headers.get("Authorization") != f"Bearer for {scope}":
            realm = f'Bearer realm="http://{self.server.host}/token",service="registry",scope="{scope}"'
            self._answer(401, b"{}", {"WWW-Authenticate": realm})
        elif parts.path not in self.server.manifests:
            self._answer(404, b"{}")
        else:
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            manifest = self.server.manifests[parts.path]
            digest = self.server.claimed.get(parts.path, f"sha256:{hashlib.sha256(manifest).hexdigest()}")
            self._answer(200, manifest, {"Docker-Content-Digest": digest})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        yield registry
        registry.shutdown()


def test_every_image_gets_the_digest_of_its_tag_and_follows_it(registry: Registry, tmp_path: Path) -> None:
    database, python = (registry.add("library/postgres", "17-alpine", b"one"), registry.add("python", "3.11-slim", b"two"))
    compose, dockerfile = tmp_path / "docker-compose.yml", tmp_path / "Dockerfile"
    compose.write_text(f"services:\n  a:\n    image: espalier-api\n  b:\n    image: {database} # the database\n")
    dockerfile.write_text(f"FROM {python}@sha256:{OLD} AS base\nFROM base AS api\n")
    for content in (b"one", b"three"):
        registry.add("library/postgres", "17-alpine", content)
        pin([compose, dockerfile])
        services = yaml.safe_load(compose.read_text())["services"]
        assert services["a"]["image"] == "espalier-api"
        assert services["b"]["image"] == f"{database}@sha256:{hashlib.sha256(content).hexdigest()}"
        assert dockerfile.read_text() == f"FROM {python}@sha256:{hashlib.sha256(b'two').hexdigest()} AS base\nFROM base AS api\n"


@pytest.mark.parametrize("fault", ["missing", "damaged", "away"])
def test_no_file_is_changed_where_one_image_is_not_found(registry: Registry, tmp_path: Path, fault: str) -> None:
    found, other = registry.add("a/b", "1", b"one"), registry.add("a/c", "1", b"two")
    if fault == "missing":
        registry.manifests.popitem()
    elif fault == "damaged":
        registry.claimed["/v2/a/c/manifests/1"] = f"sha256:{OLD}"
    else:
        other = "127.0.0.1:1/a/c:1"
    file = tmp_path / "Dockerfile"
    file.write_text(f"FROM {found} AS a\nFROM {other} AS b\n")
    with pytest.raises(PinError, match=re.escape(other)):
        pin([file])
    assert "sha256" not in file.read_text()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("postgres:17-alpine", "https://registry-1.docker.io/v2/library/postgres/manifests/17-alpine"),
        ("grafana/loki:3", "https://registry-1.docker.io/v2/grafana/loki/manifests/3"),
        ("ghcr.io/a/b:1", "https://ghcr.io/v2/a/b/manifests/1"),
        ("host:5000/a:1", "https://host:5000/v2/a/manifests/1"),
    ],
)
def test_names_are_read_as_docker_reads_them(name: str, url: str) -> None:
    assert Image.from_name(name).url == url


def test_every_image_of_this_repository_is_found() -> None:
    names = {found["name"].partition(":")[0] for file in FILES for found in _IMAGE.finditer(file.read_text())}
    assert names == {"python", "postgres", "redis", "prom/prometheus", "grafana/grafana"}
    assert FILES == (ROOT / "docker-compose.yml", ROOT / "Dockerfile")
