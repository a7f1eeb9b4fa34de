"""SSRF protection for webhook URLs, which users choose.

Called by the API when a webhook is created, so that its user gets the error, and by ``worker.webhooks.dispatcher`` before every
delivery, because the name may resolve to other addresses by then. The caller connects to the very address that was checked and
does not resolve the name again.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from service.db.models.webhook import URL_LENGTH
from service.errors import DestinationRefusedError
from service.webhooks.name_lookup import look_up

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL = re.compile(r"[!-~]+")  # printable ASCII without spaces
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")
_FIRST_FREE_PORT = 1024
_PORTS = {"https": 443, "http": 80}
"""Below 1024 only these: the others belong to services without HTTP."""
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")  # all allocated unicast addresses; leaves out NAT64, mapped and compatible ones
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other tunnels
        "2001:db8::/32",
        "3fff::/20",  # documentation
        "2002::/16",  # 6to4: embeds any IPv4 address
    )
)


@dataclass(frozen=True)
class UrlPolicy:
    """What the operator allows in addition to public addresses over TLS."""

    allow_private: bool = False
    allow_http: bool = False


@dataclass(frozen=True)
class Destination:
    """A URL that the policy allows, and the addresses that its host has now, all of them checked."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""
    addresses: tuple[str, ...]


def resolve_checked(url: str, policy: UrlPolicy, owner: str) -> Destination:
    """Resolve the host of ``url`` and check the URL and every address, in the share of ``owner``.

    Raises DestinationRefusedError, saying what to change.
    """
    parts = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and policy.allow_http):
        raise DestinationRefusedError("the URL must begin with https://" + (" or http://" if policy.allow_http else ""))
    host, port = (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]
    if port < _FIRST_FREE_PORT and port not in _PORTS.values():
        raise DestinationRefusedError(f"port {port} is not allowed; use 443, 80 or one from {_FIRST_FREE_PORT} on")
    addresses = _resolve(host, port, owner)
    if not policy.allow_private:
        for address in addresses:
            if not is_public_address(address):
                raise DestinationRefusedError(f"{host} resolves to an address that is not public")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, target, tuple(str(address) for address in addresses))


def is_public_address(address: Address) -> bool:
    """Whether ``address`` is one host of the public internet, and does not embed another address."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if address.version == 6 and address not in _PUBLIC_V6:
        return False
    return not any(address.version == network.version and address in network for network in _NOT_PUBLIC)


def _split(url: str) -> SplitResult:
    try:
        if len(url) > URL_LENGTH or not _URL.fullmatch(url) or "\\" in url or "%" in urlsplit(url).netloc:
            raise ValueError
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            ipaddress.IPv6Address(host)
        elif not _NAME.fullmatch(host):
            raise ValueError
        if parts.port == 0:
            raise ValueError
    except ValueError as error:
        raise DestinationRefusedError(
            f"this is not a valid URL of a receiver: https://host/path, at most {URL_LENGTH} characters, all of them ASCII"
        ) from error
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise DestinationRefusedError("the URL must have no user name, no password and no fragment")
    return parts


def _resolve(host: str, port: int, owner: str) -> list[Address]:
    """Every address, in the system's order. A name without any is refused: it could be given a private one later."""
    try:
        found = look_up(host, port, owner)
        # a scope (fe80::1%eth0) names an interface of this machine; such an address is not public anyway
        return [*dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)]
    except (OSError, UnicodeError) as error:
        raise DestinationRefusedError(f"the host {host} has no address: {error}") from error
