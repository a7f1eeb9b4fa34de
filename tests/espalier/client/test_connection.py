"""URL, API key and proxy variables: what cannot be used is refused before a request, and no message repeats a secret."""

import pytest

from espalier import AsyncClient, Client
from espalier.client.connection import is_loopback, without_password
from espalier.errors import ConfigurationError, EspalierError, UnreachableError
from tests.services import free_port

FAR = "http://service.test"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("make", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("esp_hush\n", "begins or ends"),
        (" esp_hush", "begins or ends"),
        ("esp_hush\r\nX-Other: 1", "blank or a line break"),
        ("esp_hush and more", "blank or a line break"),
        ("esp_hush\tq", "blank or a line break"),
        ("esp_hush\x00", "a character that"),
        ("esp_hush\u00e4", "a character that"),
        ("esp_hush\ud800", "a character that"),
        ("", "empty"),
        (" \n", "empty"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(make: type[Client], key: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refused:
        make(FAR, key)
    assert "hush" not in str(refused.value) + repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert isinstance(refused.value, EspalierError)


def test_a_key_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        Client(FAR, b"esp_hush")  # type: ignore[arg-type]  # what a caller without types does


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://[::1]x",
        "service.test:8000",
        "ftp://service.test",
        "http://",
        "",
        "//host",
        "http://a:port",
        "http://host/?q=1",
        "http://host/#part",
        "http://user:hush@[::1",
        "http://a\nb",
    ],
)
def test_a_url_that_no_request_can_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Client(url)
    assert refused.value.param == "url"
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://user:hush@proxy.test:1080"),
        ("all_proxy", "socks5h://proxy.test"),
        ("HTTP_PROXY", "ftp://proxy.test"),
        ("HTTPS_PROXY", "http://[::1"),
        ("http_proxy", "http://proxy.test:port"),
        ("NO_PROXY", "fd00::/8"),
        ("no_proxy", "[fd00::1"),
    ],
)
def test_a_proxy_variable_that_cannot_be_read_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable.lower() == "no_proxy":
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{variable}=") as refused:
        Client(FAR)
    assert "hush" not in str(refused.value)
    for url in ("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000", "http://127.1.2.3"):
        Client(url).close()  # needs no proxy


def test_a_service_on_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://user:hush@127.0.0.1:{free_port()}"
    for name in PROXY_VARIABLES[:3]:
        monkeypatch.setenv(name, proxy)
    with Client(f"http://127.0.0.1:{free_port()}", retries=0) as client, pytest.raises(UnreachableError) as direct:
        client.tasks()
    assert "proxy" not in str(direct.value)
    with Client(FAR, retries=0) as client, pytest.raises(UnreachableError, match="HTTP_PROXY") as through:
        client.tasks()
    assert "hush" not in str(through.value)


def test_the_first_failure_is_reported_at_once() -> None:
    said: list[str] = []
    client = Client(f"http://user:hush@127.0.0.1:{free_port()}", notify=said.append, retries=2)
    with client, pytest.raises(UnreachableError) as gone:
        client.get("job_1")
    assert len(said) == 1
    assert "trying again up to 2 times" in said[0]
    assert "hush" not in said[0] + str(gone.value)


def test_what_is_this_machine_and_what_is_not_shown() -> None:
    assert is_loopback("http://localhost:1")
    assert not is_loopback("http://localhost.test")
    assert without_password("http://u:p@h:1/a") == "http://***@h:1/a"
    assert without_password("http://h/a@b") == "http://h/a@b"
