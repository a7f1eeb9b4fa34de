"""Faults of a Redis broker behind TLS: which certificates are refused, and which parameter or file is at fault."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from espalier.cli import checks
from service.broker import celery_app
from service.broker_connection import BrokerFault, connection_fault
from service.settings import Settings
from tests.certificates import certificates_in
from tests.conftest import or_skip
from tests.services import RedisServer, free_port
from tests.stunnel import stunnel

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates_in(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    for url in or_skip(RedisServer):
        yield urlsplit(url).port or 0


@pytest.fixture(scope="module")
def tls_port(redis_port: int, certificates: Path) -> Iterator[int]:
    yield from or_skip(partial(stunnel, redis_port, certificates, certificates))


def fault_at(url: str) -> BrokerFault | None:
    return connection_fault(celery_app(Settings(broker_url=url)))


def test_a_certificate_of_a_known_authority_and_host_is_accepted(tls_port: int, certificates: Path) -> None:
    assert fault_at(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={certificates}/ca.pem") is None


@pytest.mark.parametrize(
    ("host", "parameters", "remedy"),
    [
        ("127.0.0.1", "", "ssl_ca_certs=/path"),
        ("localhost", "?ssl_ca_certs={}/ca.pem", "issued for localhost"),
        ("127.0.0.1", "?ssl_ca_certs={}/none.pem", "let this process read the file"),
        ("127.0.0.1", "?ssl_ca_certs={}/server.key", "ssl_… parameters"),  # not a certificate
    ],
)
def test_what_is_refused_and_why(host: str, parameters: str, remedy: str, tls_port: int, certificates: Path) -> None:
    url = f"rediss://:geheim@{host}:{tls_port}/0{parameters.format(certificates)}"
    fault = fault_at(url)
    assert fault is not None
    assert remedy in fault.remedy
    found = checks.broker(Settings(broker_url=url))
    assert (found.state, found.remedy) == ("broken", fault.remedy)
    assert "geheim" not in f"{found} {fault}"


def test_another_protocol_than_the_url_says(redis_port: int, tls_port: int) -> None:
    for url in (f"redis://127.0.0.1:{tls_port}/0", f"rediss://127.0.0.1:{redis_port}/0", f"rediss://127.0.0.1:{free_port()}/0"):
        fault = fault_at(url)
        assert fault is not None
        assert "rediss:// is for a port with TLS" in fault.remedy


@pytest.mark.parametrize("parameters", ["ssl_cert_reqs=none", "ssl_ca_certs={}/ca.pem&ssl_check_hostname=false"])
def test_a_certificate_that_is_not_checked_is_noted(parameters: str, tls_port: int, certificates: Path) -> None:
    parameters = parameters.format(certificates)
    found = checks.broker(Settings(broker_url=f"rediss://localhost:{tls_port}/0?{parameters}"))
    assert found.state == "note"
    assert parameters.rpartition("&")[2] in found.detail


def test_a_broker_that_asks_for_a_certificate(redis_port: int, certificates: Path, tmp_path: Path) -> None:
    with stunnel(redis_port, certificates, tmp_path, clients_too=True) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificates}/ca.pem"
        assert fault_at(f"{url}&ssl_certfile={certificates}/server.pem&ssl_keyfile={certificates}/server.key") is None
        assert fault_at(url) is not None
