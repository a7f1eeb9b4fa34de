"""Digests of container images: ``python -m scripts.pin_images`` writes them into ``docker-compose.yml`` and ``Dockerfile``.

A tag may lead to another image tomorrow, ``postgres:17-alpine@sha256:…`` always leads to the same. Needs the registries that the
images are in, by HTTPS (the OCI distribution API, without Docker). Run it again to follow the tags; a digest that was there is
replaced. Either all images are pinned or no file is changed.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "docker-compose.yml", ROOT / "Dockerfile")
_IMAGE = re.compile(r"(?m)^(?P<key>\s*image: |FROM )(?P<name>[\w./:-]+:[\w.-]+)(@sha256:[0-9a-f]{64})?(?=\s|$)")
"""An image with a tag; those that the compose file builds, and stages of the Dockerfile, have none."""
_HUB, _HUB_API = "docker.io", "registry-1.docker.io"
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",  # of all platforms: the digest is the same on every machine
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.v2",
    )
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_SECONDS = 30.0
_LONGEST_MANIFEST = 4 << 20


class PinError(Exception):
    """An image has no digest that could be found."""


@dataclass(frozen=True)
class Image:
    """A tagged image of a registry."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def from_name(cls, name: str) -> Self:
        """As Docker reads it: ``postgres:17`` is ``docker.io/library/postgres:17``."""
        path, _, tag = name.rpartition(":")
        registry, slash, repository = path.partition("/")
        if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
            registry, repository = _HUB, path if slash else f"library/{path}"
        return cls(registry, repository, tag)

    @property
    def url(self) -> str:
        """Of its manifest. Without TLS on this machine alone, as with Docker."""
        local = re.match(r"(localhost|127\.[\d.]+)(:\d+)?$", self.registry) is not None
        host = _HUB_API if self.registry == _HUB else self.registry
        return f"{'http' if local else 'https'}://{host}/v2/{self.repository}/manifests/{self.tag}"


def digest_of(name: str) -> str:
    """``sha256:…`` of the manifest that ``name`` leads to now. Raises PinError."""
    image = Image.from_name(name)
    try:
        try:
            manifest, headers = _get(image.url)
        except HTTPError as refused:
            if refused.code != 401:
                raise
            manifest, headers = _get(image.url, _token(refused.headers.get("WWW-Authenticate", "")))
    except (URLError, OSError, ValueError) as error:
        raise PinError(f"{name}: {image.url} gives no manifest: {error}") from error
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    if headers.get("Docker-Content-Digest", digest) != digest:
        raise PinError(f"{name}: the manifest arrived damaged: its digest is {digest}")
    return digest


def pin(files: Iterable[Path]) -> dict[str, str]:
    """Write the digest behind the tag of every image in ``files``; digests by name. Raises PinError, OSError."""
    texts = {file: file.read_text("utf-8") for file in files}
    names = sorted({found["name"] for text in texts.values() for found in _IMAGE.finditer(text)})
    digests = {name: digest_of(name) for name in names}
    for file, text in texts.items():
        file.write_text(_IMAGE.sub(lambda found: f"{found['key']}{found['name']}@{digests[found['name']]}", text), "utf-8")
    return digests


def _token(challenge: str) -> str:
    """A token for reading without an account, from where the registry says. Raises URLError, ValueError."""
    given = dict(_CHALLENGE.findall(challenge))
    if "realm" not in given:
        raise ValueError(f"the registry asks for a login: {challenge!r}")
    query = urlencode({name: given[name] for name in ("service", "scope") if name in given})
    answer = json.loads(_get(f"{given['realm']}?{query}")[0])
    return str(answer.get("token") or answer["access_token"])


def _get(url: str, token: str | None = None) -> tuple[bytes, Any]:
    headers = {"Accept": _ACCEPT} | ({"Authorization": f"Bearer {token}"} if token else {})
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no web address")
    with urlopen(Request(url, headers=headers), timeout=_SECONDS) as response:  # noqa: S310 - checked above
        return response.read(_LONGEST_MANIFEST), response.headers


def main() -> None:
    """Pin, and print what was pinned."""
    try:
        for name, digest in pin(FILES).items():
            print(f"{name}@{digest}")
    except PinError as error:
        sys.exit(f"{error}; nothing was changed")


if __name__ == "__main__":
    main()
