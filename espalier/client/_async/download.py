"""Resumable, verified download: continued by Range after a cut, checked by SHA-256, visible only when complete.

Called by ``AsyncClient.download``. The partial file is named by the digest of the artifact, so that a later call, even of
another process, continues where this one stopped and never mixes two files. Not :func:`pruning.files.write_verified`: the
client runs in the user's own process, where ``pruning`` may be another package.
"""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from espalier.client._async.http import BUSY, Http
from espalier.client._async.waiting import in_thread, sleep
from espalier.client.models import Artifact
from espalier.errors import ApiError, DownloadCorruptError, UnreachableError

_FRUITLESS_TRIES = 5
"""Consecutive connections that may end without a single byte."""
_API = "/v1/jobs/"
PAUSE_SECONDS = 0.25
"""After the first of them; each further pause is twice as long."""

Report = Callable[[int, int], None]
"""Called with bytes fetched and bytes in all."""


async def download(http: Http, artifact: Artifact, target: Path, report: Report | None = None) -> Path:
    """Download ``artifact`` to ``target``. Raises ApiError, UnreachableError, DownloadCorruptError, OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{artifact.sha256[:16]}.part")
    fruitless = 0
    while (have := _size(part)) < artifact.bytes or not part.exists():
        try:
            await _fetch(http, artifact, part, have, report)
            cut: UnreachableError | ApiError | None = None
        except (UnreachableError, ApiError) as error:
            if isinstance(error, ApiError) and error.status not in BUSY:
                raise
            cut = error
        fruitless = 0 if _size(part) > have else fruitless + 1
        if fruitless == _FRUITLESS_TRIES:
            raise cut or UnreachableError(f"{artifact.name} stops after {have} of {artifact.bytes} bytes")
        if fruitless:
            await sleep(PAUSE_SECONDS * 2 ** (fruitless - 1))
    await in_thread(partial(_verify, part, artifact))
    os.replace(part, target)
    return target


async def _fetch(http: Http, artifact: Artifact, part: Path, have: int, report: Report | None) -> None:
    """Append to ``part`` what one connection delivers."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    async with http.stream(_path(artifact.url), headers) as response:
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not resumed:  # the service sent all of it
            have = 0
        with part.open("ab" if resumed else "wb") as file:
            async for piece in response.aiter_raw():
                have += await in_thread(partial(file.write, piece))
                if have > artifact.bytes:
                    break
                if report is not None:
                    report(have, artifact.bytes)
            file.flush()
            await in_thread(partial(os.fsync, file.fileno()))


def _path(url: str) -> str:
    """``url`` relative to the base URL, which has the prefix of a proxy as well."""
    return url[max(0, url.rfind(_API)) :]


def _verify(part: Path, artifact: Artifact) -> None:
    """Size and digest; a partial file that fails is removed, because every later call would fail on it too."""
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != artifact.sha256:
        part.unlink()
        raise DownloadCorruptError(f"{artifact.name} arrived damaged: its sha-256 is {digest}, not {artifact.sha256}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
