"""Lookup of a host name: its addresses, its errors, and its deadline."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.concurrency import ConcurrencyLimiter
from service.errors import DestinationRefusedError, TooManyLookupsError
from service.webhooks import name_lookup
from service.webhooks.name_lookup import look_up
from service.webhooks.ssrf import UrlPolicy, resolve_checked
from tests.waiting import wait_until


def test_addresses_and_errors() -> None:
    assert look_up("127.0.0.1", 443, "ann")[0][4] == ("127.0.0.1", 443)
    with pytest.raises(OSError):  # noqa: PT011 - any that the system has for it
        look_up("no-such-name.invalid", 443, "ann")
    with pytest.raises(UnicodeError):
        look_up("a" * 70, 443, "ann")


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        answer.wait(120)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("service.webhooks.name_lookup._SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(DestinationRefusedError, match=r"slow\.example .*\b0\.2\b"):
        resolve_checked("https://slow.example/", UrlPolicy(), "ann")
    assert time.monotonic() - started < 60
    answer.set()


def test_a_refusal_tells_no_address() -> None:
    with pytest.raises(DestinationRefusedError) as refusal:
        resolve_checked("https://localhost/", UrlPolicy(), "ann")
    assert "127" not in str(refusal.value)


def test_slow_names_of_one_owner_do_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "slow.example":
            answer.wait(20)
        return real("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(name_lookup, "_SECONDS", 0.2)
    with ThreadPoolExecutor(12) as pool:
        slow = [pool.submit(look_up, "slow.example", 443, "mallory") for _ in range(12)]
        errors = {type(lookup.exception()) for lookup in slow}
    assert errors == {TimeoutError, TooManyLookupsError}
    assert name_lookup._LOOKUPS._held == {"mallory": 4}  # given up, and still going on
    for _ in range(5):  # others have their whole share
        assert look_up("quick.example", 443, "ann")
    answer.set()
    wait_until(lambda: not name_lookup._LOOKUPS._held, what="the end of the lookups")
    assert look_up("quick.example", 443, "mallory")
    assert not name_lookup._CALLERS._held


def test_an_owner_with_too_many_threads_that_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "_CALLERS", ConcurrencyLimiter(1, 1))
    assert name_lookup._CALLERS.acquire("ann")
    with pytest.raises(TooManyLookupsError):
        resolve_checked("https://example.com/", UrlPolicy(), "ann")
