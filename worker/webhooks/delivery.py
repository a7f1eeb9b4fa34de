"""One message to one receiver: signed as Standard Webhooks says, sent to a checked address, bounded in time and size.

Called by ``worker.webhooks.dispatcher``. The engine below httpx is used directly, because its connections can be told where
to go: to the addresses that ``service.webhooks.ssrf`` has checked, while TLS and the ``Host`` header name the host that the
user wrote. Between check and call there is no second look at the name. Proxies from the environment are not used, redirects
not followed, and of the answer nothing but the head is read.
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
    """The headers that let a receiver check where ``body`` comes from; one signature per secret, between blanks."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in secrets),
    }


def send(destination: Destination, headers: dict[str, str], body: str, *, timeout: float) -> DeliveryResult:
    """POST ``body`` and see what the receiver says; everything together takes at most ``timeout`` seconds."""
    default = {"https": 443, "http": 80}[destination.scheme]
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    sent = {
        "Host": host if destination.port == default else f"{host}:{destination.port}",
        "User-Agent": "espalier-webhooks",
        "Content-Type": "application/json",
        "Connection": "close",
        **headers,
    }
    url = httpcore.URL(
        scheme=destination.scheme, host=destination.host, port=destination.port, target=destination.target
    )
    pool = httpcore.ConnectionPool(
        # certificates: certifi's, or SSL_CERT_FILE and SSL_CERT_DIR
        ssl_context=httpx.create_ssl_context(),
        network_backend=_Checked(destination.addresses, _until(timeout)),
    )
    try:
        with pool, pool.stream("POST", url, headers=list(sent.items()), content=body.encode()) as answer:
            return _outcome(answer.status, dict(answer.headers))
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return DeliveryResult(error=reason[:_ERROR_CHARACTERS])


def _outcome(status: int, headers: dict[bytes, bytes]) -> DeliveryResult:
    if 200 <= status < 300:
        return DeliveryResult(status)
    if status == _GONE:
        return DeliveryResult(status, "the receiver is gone for good (410)", retry=False, gone=True)
    why = ", and redirects are not followed" if 300 <= status < 400 else ""
    asked = {name.lower(): value for name, value in headers.items()}.get(b"retry-after", b"")
    pause = min(float(asked), _LONGEST_RETRY_AFTER) if asked.isdigit() else 0.0
    return DeliveryResult(status, f"the receiver answered {status}{why}", retry_after=pause)


def _until(seconds: float) -> Callable[[], float]:
    """Seconds left. Never 0, which would mean not to wait at all and be another error than a timeout."""
    deadline = time.monotonic() + seconds
    return lambda: max(deadline - time.monotonic(), 0.001)


class _Checked(httpcore.NetworkBackend):
    """Connects to given addresses, whatever the host is called."""

    def __init__(self, addresses: tuple[str, ...], left: Callable[[], float]) -> None:
        self._addresses, self._left = addresses, left
        self._plain = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, **options: Any) -> httpcore.NetworkStream:  # type: ignore[override]
        """The first address that answers; each gets its share of the time that is left."""
        refusal: Exception = httpcore.ConnectError("no address")
        for tried, address in enumerate(self._addresses):
            options["timeout"] = self._left() / (len(self._addresses) - tried)
            try:
                return _Bounded(self._plain.connect_tcp(address, port, **options), self._left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refusal = error
        raise refusal


class _Bounded(httpcore.NetworkStream):
    """A connection whose waits all end at one moment, so that an answer that drips in cannot hold it open."""

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._stream, self._left = stream, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Bounded":
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._left)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
