"""Base URL, API key and proxy variables of the client, checked before a request is sent.

Called by ``_async/http.py`` and ``_sync/http.py``. No message repeats an API key or the password of a URL: httpx and h11 would
quote the whole header.
"""

import io
import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from espalier.errors import ConfigurationError

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_EXEMPT = ("NO_PROXY", "no_proxy")

T = TypeVar("T")


class CountedFile(io.FileIO):
    """A file to be sent, open for reading; ``count`` is called with the number of bytes of every read."""

    def __init__(self, file: Path, count: Callable[[int], None]) -> None:
        super().__init__(file)
        self._count = count

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size)
        self._count(len(piece))
        return piece


def checked_url(url: str) -> str:
    """``url`` without a slash at its end. Raises ConfigurationError for one that no request can be sent to."""
    if not isinstance(url, str):
        raise TypeError(f"the URL must be a str, not {type(url).__name__}")
    shape = "give it as http://host:port or https://host"
    try:
        parts = httpx.URL(url)
        host = urlsplit(url).hostname  # one of the two refuses a malformed IPv6 address
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"the URL {without_password(url)!r} cannot be read; {shape}", param="url") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"the URL {without_password(url)!r} has no http:// and host; {shape}", param="url")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the URL {without_password(url)!r} must end before ? and #", param="url")
    return url.rstrip("/")


def checked_key(key: str | None) -> str | None:
    """``key``, checked as a header value. Raises ConfigurationError with the reason, never with the key."""
    if key is None:
        return None
    if not isinstance(key, str):
        raise TypeError(f"the API key must be a str, not {type(key).__name__}")
    reason = None
    if not key.strip():
        reason = "it is empty"
    elif key != key.strip():
        reason = "it begins or ends with a blank or a line break"
    elif any(character.isspace() for character in key):
        reason = "it holds a blank or a line break; one key is one word"
    elif not (key.isascii() and key.isprintable()):
        reason = "it holds a character that keys do not have"
    if reason is not None:
        raise ConfigurationError(f"the API key cannot be used: {reason}", param="api_key")
    return key


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this machine, where no proxy is needed."""
    host = httpx.URL(url).host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def with_environment(make: Callable[[], T]) -> T:
    """The client that ``make`` builds with the environment's proxies. Raises ConfigurationError naming the variable at fault."""
    try:
        return make()
    except (httpx.InvalidURL, ImportError, ValueError) as error:
        raise ConfigurationError(_proxy_fault(), param="environment") from error


def without_password(url: str) -> str:
    """``url`` with ``***`` for user and password, for messages; a malformed one too."""
    scheme, separator, rest = url.rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}***@{place.rpartition('@')[2]}{slash}{path}" if "@" in place else url


def public_url(url: str) -> str:
    """``url`` without user and password, for links that are displayed and stored."""
    return str(httpx.URL(url).copy_with(userinfo=b"")).rstrip("/")


def proxy_of(url: str) -> str | None:
    """``the proxy … of VARIABLE`` that requests to ``url`` would use by the environment; None where they go directly."""
    if is_loopback(url):
        return None
    for name in (f"{httpx.URL(url).scheme.upper()}_PROXY", "ALL_PROXY"):
        for variable in (name.lower(), name):
            if value := os.environ.get(variable):
                return f"the proxy {without_password(value)} of {variable}"
    return None


def _proxy_fault() -> str:
    for name in (variable for upper in _PROXIES for variable in (upper.lower(), upper)):
        value = os.environ.get(name)
        if not value:
            continue
        shown = f"{name}={without_password(value)}"
        if value.startswith("socks"):
            return f"{shown} needs the package socksio: pip install 'httpx[socks]', or unset {name}"
        try:
            httpx.Proxy(value if "://" in value else f"http://{value}")
        except (httpx.InvalidURL, ValueError):
            return f"{shown} is not the address of a proxy; give http://host:port, or unset {name}"
    for name in _EXEMPT:
        if value := os.environ.get(name):
            return (
                f"{name}={value} cannot be read; it is a list of host names and addresses with commas between them, "
                "without brackets, ports or networks in IPv6"
            )
    return "the proxy variables of the environment cannot be read"
