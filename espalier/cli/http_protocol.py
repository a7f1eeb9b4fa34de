"""HTTP protocol of a connection, chosen by the version of its first request.

Given to uvicorn by ``espalier.cli.api_process``. uvicorn's fast parser sends chunks to clients of HTTP/1.0 too, who take the chunk
sizes for content; its other one does not. Requests of HTTP/1.0 come from old proxies and from ``ab``.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol

_LONGEST_REQUEST_LINE = 65_536
"""Bytes; what has no end of line by then is answered by the usual parser."""
_OLD = b"HTTP/1.0"


class VersionedHttpProtocol(asyncio.Protocol):
    """Reads the first line of a connection and gives the connection to the protocol for its version."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base class

    def data_received(self, data: bytes) -> None:
        """Called by asyncio until the protocol is chosen."""
        self._received += data
        line, end, _ = self._received.lstrip(b"\r\n").partition(b"\n")
        if (not end and len(self._received) < _LONGEST_REQUEST_LINE) or self._transport is None:
            return
        chosen: Any = H11Protocol if line.rstrip().endswith(_OLD) else AutoHTTPProtocol
        protocol: asyncio.Protocol = chosen(**self._options)
        protocol.connection_made(self._transport)
        self._transport.set_protocol(protocol)
        protocol.data_received(self._received)
