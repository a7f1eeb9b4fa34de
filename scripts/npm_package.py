"""Packages of the npm registry, pinned by version and by the registry's own digest, from which single files are taken.

Used by ``scripts.vendor_assets``, whose files lie in the repository, and ``scripts.diagrams``, which needs Mermaid while it draws.
"""

import base64
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

STATIC = Path(__file__).parents[1] / "api" / "static"
_REGISTRY = "https://registry.npmjs.org"
_SECONDS = 120


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, and what is taken from it."""

    name: str
    version: str
    license: str
    sha512: str
    """Of the archive, in base64 as the registry's ``dist.integrity`` has it."""
    files: dict[str, str]
    """Path in the archive → name here."""
    folder: Path = STATIC
    """Where they are put, if they are vendored."""

    @property
    def url(self) -> str:
        """Where the archive is."""
        return f"{_REGISTRY}/{self.name}/-/{self.name}-{self.version}.tgz"

    def fetch(self) -> dict[str, bytes]:
        """The files by their names here. Raises OSError, ValueError for an archive with another digest."""
        with urlopen(self.url, timeout=_SECONDS) as response:  # noqa: S310 - a constant https:// address
            archive = response.read()
        if base64.b64encode(hashlib.sha512(archive).digest()).decode() != self.sha512:
            raise ValueError(f"{self.url} has another digest than the one pinned here")
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            found = {name: opened.extractfile(path) for path, name in self.files.items()}
            return {name: file.read() for name, file in found.items() if file is not None}
