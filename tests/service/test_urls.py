"""Database and storage URLs: their parts, their one form, and no password in what is refused."""

import pytest

from service.urls import StorageUrl, is_loopback, normalize_database_url, parse_storage_url, unchecked_tls, verified_broker_url


@pytest.mark.parametrize(
    ("url", "address", "canonical"),
    [
        ("s3://bucket", StorageUrl("bucket", "", None, None), "s3://bucket"),
        ("s3://bucket/", StorageUrl("bucket", "", None, None), "s3://bucket"),
        ("s3://b/some/where/?region=eu-1", StorageUrl("b", "some/where", None, "eu-1"), "s3://b/some/where?region=eu-1"),
        (
            "s3://b/x?region=&endpoint=https://host:9000/",
            StorageUrl("b", "x", "https://host:9000", None),
            "s3://b/x?endpoint=https://host:9000",
        ),
        (
            "s3://b?addressing=virtual&endpoint=https://host",
            StorageUrl("b", "", "https://host", None, "virtual"),
            "s3://b?endpoint=https://host&addressing=virtual",
        ),
    ],
)
def test_the_parts_of_a_storage_url(url: str, address: StorageUrl, canonical: str) -> None:
    assert parse_storage_url(url) == address
    assert str(address) == canonical
    assert parse_storage_url(canonical) == address


def test_object_keys_are_below_the_prefix() -> None:
    assert parse_storage_url("s3://b/p").key("artifacts/x") == "p/artifacts/x"
    assert parse_storage_url("s3://b").key("artifacts/x") == "artifacts/x"


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket",
        "s3://",
        "s3:///prefix",
        "s3://b?zone=1",
        "s3://b?region=1&region=2",
        "s3://b?endpoint=host",
        "s3://b#x",
        "s3://b?addressing=host",
        "s3://key:password@b",
        "s3://b?endpoint=https://key:password@host",
    ],
)
def test_errors_do_not_repeat_passwords(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|endpoint") as refusal:
        parse_storage_url(url)
    assert "password" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "with_its_driver"),
    [
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("sqlite+pysqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_database_url_gets_its_driver(url: str, with_its_driver: str) -> None:
    assert normalize_database_url(url) == with_its_driver


@pytest.mark.parametrize("url", ["postgresql://h/d?pooler=session", "postgres://h/d?pooler=", "postgresql://h/d?pooler=1"])
def test_only_the_pooler_that_is_served_can_be_named(url: str) -> None:
    with pytest.raises(ValueError, match=r"pooler .*transaction"):
        normalize_database_url(url)


@pytest.mark.parametrize(
    ("url", "verified"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("rediss://h:6379/0", "rediss://h:6379/0?ssl_cert_reqs=required"),
        ("rediss://:p%40@h/1?ssl_ca_certs=/ca.pem", "rediss://:p%40@h/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("rediss://h/0?ssl_cert_reqs=required", "rediss://h/0?ssl_cert_reqs=required"),
    ],
)
def test_certificates_of_the_broker_are_checked_unless_the_url_says_otherwise(url: str, verified: str) -> None:
    assert verified_broker_url(url) == verified
    assert verified_broker_url(verified) == verified


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h/0?ssl_cert_reqs=CERT_NONE",
        "rediss://h/0?ssl_cert_reqs=optional",
        "rediss://h/0?ssl_verify=0",
        "rediss://h/0?ssl_check_hostname=no",  # false for redis-py, true for kombu
        "redis://h/0?ssl_ca_certs=/ca.pem",
    ],
)
def test_parameters_of_tls_without_effect_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="ssl_"):
        verified_broker_url(url)


def test_what_of_a_certificate_is_not_checked() -> None:
    assert unchecked_tls(verified_broker_url("rediss://h/0?ssl_check_hostname=true&ssl_cert_reqs=required")) is None
    assert unchecked_tls("redis://h/0") is None
    assert "ssl_cert_reqs=none" in (unchecked_tls("rediss://h/0?ssl_cert_reqs=none") or "")
    assert "ssl_check_hostname=false" in (unchecked_tls("rediss://h/0?ssl_check_hostname=false&ssl_cert_reqs=required") or "")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("example.com", False)],
)
def test_loopback_hosts(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
