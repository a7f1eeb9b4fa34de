"""The storage's URL: every part in its place, and no password in it."""

import pytest

from service.artifacts.s3_url import StorageUrl, parse_storage_url
from service.settings import Settings


@pytest.mark.parametrize(
    ("url", "address", "canonical"),
    [
        ("s3://bucket", StorageUrl("bucket", "", None, None), "s3://bucket"),
        ("s3://bucket/", StorageUrl("bucket", "", None, None), "s3://bucket"),
        (
            "s3://b/some/where/?region=eu-1",
            StorageUrl("b", "some/where", None, "eu-1"),
            "s3://b/some/where?region=eu-1",
        ),
        (
            "s3://b/x?region=&endpoint=https://host:9000/",
            StorageUrl("b", "x", "https://host:9000", None),
            "s3://b/x?endpoint=https://host:9000",
        ),
    ],
)
def test_parts(url: str, address: StorageUrl, canonical: str) -> None:
    assert parse_storage_url(url) == address
    assert str(address) == canonical
    assert parse_storage_url(canonical) == address


def test_names_are_below_the_prefix() -> None:
    assert parse_storage_url("s3://b/p").key("artifacts/x") == "p/artifacts/x"
    assert parse_storage_url("s3://b").key("artifacts/x") == "artifacts/x"


@pytest.mark.parametrize(
    "url",
    [
        "https://bucket", "s3://", "s3:///prefix", "s3://b?zone=1", "s3://b?region=1&region=2", "s3://b?endpoint=host",
        "s3://b#x", "s3://key:password@b", "s3://b?endpoint=https://key:password@host",
    ],
)  # fmt: skip
def test_what_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|endpoint") as refusal:
        parse_storage_url(url)
    assert "password" not in str(refusal.value)


def test_the_setting_is_kept_in_one_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_STORAGE_URL", "s3://b/p/?region=")
    assert Settings().storage_url == "s3://b/p"
    monkeypatch.setattr("service.settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"storage_url[\s\S]*espalier\[s3\]"):
        Settings()
