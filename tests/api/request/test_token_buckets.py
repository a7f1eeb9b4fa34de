"""Token buckets in Redis: counted once for all API processes, and requests that pass while Redis is unreachable."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from api.request.token_buckets import SharedTokenBuckets, TokenBuckets, open_buckets
from service.access.api_keys import Scope
from service.db.engine import Database
from service.settings import Settings
from tests import patient_http
from tests.api.protected_app import Keyring
from tests.certificates import certificates_in
from tests.processes import ModuleProcess
from tests.services import RedisServer, free_port, listens
from tests.waiting import wait_until

PER_MINUTE = 6  # one more is allowed only after ten seconds


def consumed(url: str, *names: str, per_minute: int = PER_MINUTE) -> list[bool | None]:
    """Whether each request was allowed; None: not counted."""

    async def ask() -> list[bool | None]:
        buckets = SharedTokenBuckets(per_minute, url)
        results = [await buckets.consume(name) for name in names]
        await buckets.close()
        return [result.allowed if result else None for result in results]

    return asyncio.run(ask())


def test_two_counters_share_a_bucket(redis_server: RedisServer) -> None:
    assert consumed(redis_server.url, *"aaaa") == [True] * 4
    assert consumed(redis_server.url, *"aaa") == [True, True, False]
    assert consumed(redis_server.url, "b") == [True]
    assert consumed(redis_server.url, "a", per_minute=60_000) == [True]  # a larger limit fills the bucket at once


def test_tls_is_checked_as_for_the_broker(tmp_path: Path) -> None:
    certificates, port = certificates_in(tmp_path), free_port()
    files = {"cert": "server.pem", "key": "server.key", "ca-cert": "ca.pem"}
    options = [part for name, file in files.items() for part in (f"--tls-{name}-file", str(certificates / file))]
    with RedisServer("--tls-port", str(port), "--tls-auth-clients", "no", *options):
        wait_until(lambda: listens("127.0.0.1", port), what="TLS")
        for parameters, expected in (("", None), (f"?ssl_ca_certs={certificates}/ca.pem", True)):
            settings = Settings(data_dir=tmp_path, broker_url=f"rediss://127.0.0.1:{port}/0{parameters}")
            assert consumed(settings.broker_url, "a") == [expected]


def test_the_embedded_service_counts_in_memory(tmp_path: Path) -> None:
    assert isinstance(open_buckets(Settings(data_dir=tmp_path)), TokenBuckets)


@pytest.fixture
def apis(database: Database, redis_server: RedisServer, tmp_path: Path) -> Iterator[list[tuple[ModuleProcess, str]]]:
    """Two API processes on one database and one Redis, with their addresses."""
    environment = {
        "ESPALIER_DATA_DIR": str(tmp_path / "data"),
        "ESPALIER_DATABASE_URL": database.url,
        "ESPALIER_BROKER_URL": redis_server.url,
        "ESPALIER_REQUIRE_KEYS": "true",
        "ESPALIER_METRICS_OPEN": "true",
        "ESPALIER_REQUESTS_PER_MINUTE": str(PER_MINUTE),
    }
    with ExitStack() as stack:
        started = [
            stack.enter_context(ModuleProcess(["espalier.cli", "api", "--port", "0"], environment, tmp_path, f"api{n}"))
            for n in range(2)
        ]
        yield [(api, json.loads(api.wait_for_line("listens on"))["event"].split("listens on ")[1]) for api in started]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_api_processes_let_no_more_through_than_one(
    apis: list[tuple[ModuleProcess, str]], database: Database, redis_server: RedisServer
) -> None:
    headers = Keyring(database).header_of("a", Scope.READ)

    def ask(number: int) -> httpx.Response:
        return httpx.get(f"{apis[number % 2][1]}/v1/jobs", headers=headers, timeout=60)

    answers = [ask(number) for number in range(PER_MINUTE + 2)]
    assert [answer.status_code for answer in answers].count(200) == PER_MINUTE
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all("RateLimit" in answer.headers for answer in answers)
    redis_server.kill()
    passed = [ask(number) for number in range(2 * (PER_MINUTE + 2))]
    assert {answer.status_code for answer in passed} == {200}
    for api, url in apis:
        metrics = patient_http.get(f"{url}/metrics").text
        assert f"espalier_requests_uncounted_total {PER_MINUTE + 2}.0" in metrics
        assert api.stderr.count("requests pass without being counted") == 1
