"""Downloads of stored files: whole or a requested range, streamed, with headers for size, digest and range.

Called by ``api.routes.artifacts`` and ``api.routes.models``. A file's entity tag is the SHA-256 of its bytes.
"""

import base64
from collections.abc import Callable, Iterator

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.errors.problems import problem_response
from api.request.conditional import ByteRange, RangeNotSatisfiableError, parse_range


def file_headers(sha256: str, file_name: str, disposition: str = "attachment") -> dict[str, str]:
    """Headers of a file: its digest (``sha256`` in hexadecimal), its name, a private cache, and no content sniffing."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {
        "ETag": f'"{sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'{disposition}; filename="{file_name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }


def file_response(
    request: Request,
    size: int,
    read: Callable[[int, int], Iterator[bytes]],
    headers: dict[str, str],
    media_type: str = "application/octet-stream",
) -> Response:
    """``Range`` and ``If-Range`` of ``request`` are honoured, by the tag in ``headers``.

    ``size`` in bytes; ``read`` gives the bytes from a first one to another, which is not included.
    """
    given = request.headers
    try:
        part = parse_range(given.get("range"), given.get("if-range"), headers["ETag"], size)
    except RangeNotSatisfiableError:
        whole = {"Content-Range": f"bytes */{size}"}
        return problem_response(request, "range_not_satisfiable", f"the file has {size} bytes", headers=whole)
    sent = part or ByteRange(0, size)
    if part is not None:
        headers = headers | {"Content-Range": f"bytes {sent.start}-{sent.stop - 1}/{size}"}
    headers = headers | {"Content-Length": str(sent.stop - sent.start)}
    return StreamingResponse(read(sent.start, sent.stop), 200 if part is None else 206, headers, media_type=media_type)
