"""SSRF protection: every address of a host counts."""

import ipaddress
import socket
from typing import Any

import pytest

from service.errors import DestinationRefusedError
from service.webhooks.ssrf import UrlPolicy, is_public_address, resolve_checked

PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::8")
NOT_PUBLIC = (
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)


def test_public_addresses() -> None:
    assert [address for address in PUBLIC if not is_public_address(ipaddress.ip_address(address))] == []
    assert [address for address in NOT_PUBLIC if is_public_address(ipaddress.ip_address(address))] == []


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_host_with_public_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "8.8.8.8", "2606:4700::1111", "8.8.8.8")
    found = resolve_checked("https://Example.com/a/b?c=d", UrlPolicy(), "ann")
    assert (found.scheme, found.host, found.port, found.target) == ("https", "example.com", 443, "/a/b?c=d")
    assert found.addresses == ("8.8.8.8", "2606:4700::1111")
    assert resolve_checked("http://example.com:8080", UrlPolicy(allow_http=True), "ann").target == "/"


@pytest.mark.parametrize("one", ["10.0.0.1", "::1", "fe80::1%eth0", "169.254.169.254"])
def test_one_private_address_among_public_ones(monkeypatch: pytest.MonkeyPatch, one: str) -> None:
    resolving(monkeypatch, "8.8.8.8", one)
    with pytest.raises(DestinationRefusedError, match=r"^example\.com .*public"):
        resolve_checked("https://example.com/", UrlPolicy(), "ann")
    assert len(resolve_checked("https://example.com/", UrlPolicy(allow_private=True), "ann").addresses) == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://[::ffff:127.0.0.1]/",
        "https://127.1/",
    ],
)
def test_spellings_of_the_loopback_address(url: str) -> None:
    with pytest.raises(DestinationRefusedError, match=r"public|address|URL"):
        resolve_checked(url, UrlPolicy(), "ann")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "https://$"),
        ("ftp://example.com/", "https://$"),
        ("example.com/hook", "https://host/path"),
        ("https://", "https://host/path"),
        ("https://exa mple.com/", "https://host/path"),
        ("https://example.com\\@127.0.0.1/", "https://host/path"),
        ("https://bücher.example/", "https://host/path"),
        ("https://example.com:99999/", "https://host/path"),
        ("https://example.com/\r\nX: y", "https://host/path"),
        ("https://[fe80::1%25lo]/", "https://host/path"),
        ("https://example.com/" + "x" * 2048, "https://host/path"),
        ("https://user:word@example.com/", "user name"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com:22/", "port 22 "),
    ],
)
def test_urls_that_are_refused_before_any_resolution(monkeypatch: pytest.MonkeyPatch, url: str, reason: str) -> None:
    resolving(monkeypatch, "8.8.8.8")
    with pytest.raises(DestinationRefusedError, match=reason):
        resolve_checked(url, UrlPolicy(), "ann")


def test_a_host_without_addresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be given a private address as soon as it is accepted."""

    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DestinationRefusedError, match=r"example\.com .*Name or service not known"):
        resolve_checked("https://example.com/", UrlPolicy(allow_private=True), "ann")
