"""Downloads that can be cut anywhere: resumed by Range, verified by digest, visible only when complete.

Called by ``Client.download``. The partial file is named by the digest of what is being fetched, so that a later call,
of another process even, goes on where this one stopped and never mixes two files.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from espalier.errors import DownloadCorrupt, Unreachable
from espalier.http import Http, check
from espalier.resources import Artifact

_FRUITLESS_TRIES = 5
"""Connections in a row that may end without bringing a single byte."""

Report = Callable[[int, int], None]
"""Called with bytes fetched and bytes in all."""


def download(http: Http, artifact: Artifact, target: Path, report: Report | None = None) -> Path:
    """Fetch ``artifact`` to ``target``. Raises ApiError, Unreachable, DownloadCorrupt, OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{artifact.sha256[:16]}.part")
    fruitless = 0
    while (have := _size(partial)) < artifact.bytes or not partial.exists():
        try:
            _fetch(http, artifact, partial, have, report)
            cut: Unreachable | None = None
        except Unreachable as error:
            cut = error
        fruitless = 0 if _size(partial) > have else fruitless + 1
        if fruitless == _FRUITLESS_TRIES:
            raise cut or Unreachable(f"{artifact.name} stops after {have} of {artifact.bytes} bytes")
    _verify(partial, artifact)
    os.replace(partial, target)
    return target


def _fetch(http: Http, artifact: Artifact, partial: Path, have: int, report: Report | None) -> None:
    """Add to ``partial`` as much as one connection brings."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with http.stream(artifact.url, headers) as answer:
        check(answer)
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not resumed:  # the service sent all of it
            have = 0
        with partial.open("ab" if resumed else "wb") as file:
            for piece in answer.iter_raw():
                have += file.write(piece)
                if have > artifact.bytes:
                    break
                if report is not None:
                    report(have, artifact.bytes)
            file.flush()
            os.fsync(file.fileno())


def _verify(partial: Path, artifact: Artifact) -> None:
    """Size and digest; a partial file that fails is removed, or every later call would fail on it too."""
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != artifact.sha256:
        partial.unlink()
        raise DownloadCorrupt(f"{artifact.name} arrived damaged: its sha-256 is {digest}, not {artifact.sha256}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
