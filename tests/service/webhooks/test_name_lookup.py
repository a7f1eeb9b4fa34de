"""Lookup of a host name: its addresses, its errors, and its deadline."""

import socket
import threading
import time
from typing import Any

import pytest

from service.errors import DestinationRefusedError
from service.webhooks.name_lookup import look_up
from service.webhooks.ssrf import UrlPolicy, resolve_checked


def test_addresses_and_errors() -> None:
    assert look_up("127.0.0.1", 443)[0][4] == ("127.0.0.1", 443)
    with pytest.raises(OSError):  # noqa: PT011 - any that the system has for it
        look_up("no-such-name.invalid", 443)
    with pytest.raises(UnicodeError):
        look_up("a" * 70, 443)


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        answer.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("service.webhooks.name_lookup._SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(DestinationRefusedError, match=r"slow\.example has no address: its name server took more than"):
        resolve_checked("https://slow.example/", UrlPolicy())
    assert time.monotonic() - started < 3
    answer.set()


def test_a_refusal_tells_no_address() -> None:
    with pytest.raises(DestinationRefusedError) as refusal:
        resolve_checked("https://localhost/", UrlPolicy())
    assert "127" not in str(refusal.value)
