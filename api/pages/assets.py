"""Scripts and style sheets of the pages, served by this service under ``/static``, compressed once and cached by their digest.

Own files are in ``static/`` of this package, those shared with the report of a job in ``pruning/report/static``, vendored ones in
``api/static`` (``scripts.vendor_assets``).
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from starlette.exceptions import HTTPException

from api.request.conditional import etag_matches
from pruning.report.rendering import SHARED_STYLE

OWN = Path(__file__).parent / "static"
VENDORED = Path(__file__).parents[1] / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
ASSETS = {
    **{name: VENDORED / name for name in ("htmx.min.js", "hx-sse.min.js", "uplot.min.js", "uplot.min.css")},
    SHARED_STYLE.name: SHARED_STYLE,
    **{file.name: file for file in sorted(OWN.iterdir()) if file.suffix in _TYPES},
}
"""Everything that is served, by name."""
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _Asset:
    content: bytes
    compressed: bytes
    digest: str


def asset_url(name: str) -> str:
    """Path of an asset below the service's root, with its digest: browsers keep it until it changes."""
    return f"/static/{name}?v={_load(name).digest}"


@router.get("/static/{name}")
async def asset(
    name: str,
    v: Annotated[str, Query()] = "",
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A script, style sheet or picture."""
    if name not in ASSETS:
        raise HTTPException(404)
    found = _load(name)
    etag = f'"{found.digest}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=31536000, immutable" if v == found.digest else "no-cache",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if etag_matches(if_none_match, etag, weak=True):
        return Response(status_code=304, headers=headers)
    content = found.content
    if "gzip" in accept_encoding:
        content, headers["Content-Encoding"] = found.compressed, "gzip"
    return Response(content, headers=headers, media_type=_TYPES[ASSETS[name].suffix])


@cache
def _load(name: str) -> _Asset:
    content = ASSETS[name].read_bytes()
    return _Asset(content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:16])
