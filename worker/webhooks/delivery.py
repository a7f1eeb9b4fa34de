"""Webhook delivery: one signed POST to a checked address, bounded in time and size (Standard Webhooks).

Called by ``worker.webhooks.dispatcher``. httpcore is used directly, because it connects to given addresses: those that
``service.webhooks.ssrf`` has checked, while TLS and the ``Host`` header carry the host name that the user wrote. The name is not
resolved a second time. Proxies from the environment are not used, redirects are not followed, and only the head of the
response is read.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import httpx

from service.webhooks.outbox import DeliveryResult
from service.webhooks.ssrf import Destination
from service.webhooks.subscriptions import SECRET_PREFIX

_LONGEST_RETRY_AFTER = 24 * 3600.0
_ERROR_CHARACTERS = 200
_GONE = 410


def signature(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """``v1,`` and the HMAC-SHA256 of ``id.timestamp.body`` in base64. ``secret`` is what follows ``whsec_`` decoded."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signed_headers(secrets: Iterable[str], message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers by which a receiver verifies ``body``; one signature per secret, separated by spaces."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in secrets),
    }


def send(destination: Destination, headers: dict[str, str], body: str, *, timeout: float) -> DeliveryResult:
    """POST ``body`` within ``timeout`` seconds in all, and classify the response."""
    default = {"https": 443, "http": 80}[destination.scheme]
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    request_headers = {
        "Host": host if destination.port == default else f"{host}:{destination.port}",
        "User-Agent": "espalier-webhooks",
        "Content-Type": "application/json",
        "Connection": "close",
        **headers,
    }
    url = httpcore.URL(scheme=destination.scheme, host=destination.host, port=destination.port, target=destination.target)
    pool = httpcore.ConnectionPool(
        # certificates: certifi's, or SSL_CERT_FILE and SSL_CERT_DIR
        ssl_context=httpx.create_ssl_context(),
        network_backend=_PinnedBackend(destination.addresses, _until(timeout)),
    )
    try:
        with pool, pool.stream("POST", url, headers=list(request_headers.items()), content=body.encode()) as response:
            return _result(response.status, dict(response.headers))
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return DeliveryResult(error=reason[:_ERROR_CHARACTERS])


def _result(status: int, headers: dict[bytes, bytes]) -> DeliveryResult:
    if 200 <= status < 300:
        return DeliveryResult(status)
    if status == _GONE:
        return DeliveryResult(status, "the receiver is gone permanently (410)", retry=False, gone=True)
    why = ", and redirects are not followed" if 300 <= status < 400 else ""
    asked = {name.lower(): value for name, value in headers.items()}.get(b"retry-after", b"")
    pause = min(float(asked), _LONGEST_RETRY_AFTER) if asked.isdigit() else 0.0
    return DeliveryResult(status, f"the receiver answered {status}{why}", retry_after=pause)


def _until(seconds: float) -> Callable[[], float]:
    """Seconds left of ``seconds``; never 0, which would mean not to wait at all, another error than a timeout."""
    deadline = time.monotonic() + seconds
    return lambda: max(deadline - time.monotonic(), 0.001)


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to given addresses instead of resolving the host name."""

    def __init__(self, addresses: tuple[str, ...], left: Callable[[], float]) -> None:
        self._addresses, self._left = addresses, left
        self._plain = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, **options: Any) -> httpcore.NetworkStream:  # type: ignore[override]  # all options are passed on
        """The first address that accepts; each gets its share of the time that is left."""
        refusal: Exception = httpcore.ConnectError("no address")
        for tried, address in enumerate(self._addresses):
            options["timeout"] = self._left() / (len(self._addresses) - tried)
            try:
                return _BoundedStream(self._plain.connect_tcp(address, port, **options), self._left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refusal = error
        raise refusal


class _BoundedStream(httpcore.NetworkStream):
    """A connection with one deadline for all its waits, so that a slow response cannot hold it open."""

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._stream, self._left = stream, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> "_BoundedStream":
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._left)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
