"""Objects against a server that somebody else wrote: whole or not there, and errors that tell no secrets."""

import logging
import sys
from collections.abc import Iterator

import pytest

from service.artifacts import s3 as bucket_module
from service.artifacts.s3 import PART_BYTES, open_bucket
from service.errors import ObjectMissingError, StorageUnavailableError
from tests import object_store, services

PART = b"x" * PART_BYTES


@pytest.mark.parametrize("parts", [[], [b""], [b"small"], [PART, b"end"], [PART, PART]])
def test_what_is_put_comes_back(storage_url: str, parts: list[bytes]) -> None:
    bucket, arrived = open_bucket(storage_url), list[int]()
    bucket.put("folder/name", parts, metadata={"sha256": "abc"}, part_stored=lambda: arrived.append(1))
    whole = b"".join(parts)
    assert bucket.head("folder/name") == (len(whole), {"sha256": "abc"})
    if whole:
        assert bucket.get("folder/name", 0, len(whole)) == whole
        assert bucket.get("folder/name", len(whole) - 2, len(whole)) == whole[-2:]
    assert len(arrived) == max(1, len(parts))
    assert [name for page in bucket.list_pages("folder/") for name in page] == ["folder/name"]
    assert bucket.list_folders("") == {"folder"}
    assert bucket.list_uploads("") == []


@pytest.mark.parametrize("good", [0, 1, 2])
def test_an_upload_that_breaks_leaves_nothing(storage_url: str, good: int) -> None:
    def parts() -> Iterator[bytes]:
        yield from [PART] * good
        raise KeyError("broken")

    bucket = open_bucket(storage_url)
    with pytest.raises(KeyError):
        bucket.put("name", parts())
    assert object_store.objects(storage_url) == {}
    assert bucket.list_uploads("") == []


def test_a_body_that_breaks_off_is_asked_for_again(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ResponseStreamingError
    from botocore.response import StreamingBody

    bucket, real, breaks = open_bucket(storage_url), StreamingBody.read, [1, 1]
    bucket.put("name", [b"content"])

    def read(self: StreamingBody, amount: int | None = None) -> bytes:
        if breaks:
            breaks.pop()
            raise ResponseStreamingError(error="broken off")
        return bytes(real(self, amount))

    monkeypatch.setattr(StreamingBody, "read", read)
    assert bucket.get("name", 0, 7) == b"content"
    breaks[:] = [1] * 3
    with pytest.raises(StorageUnavailableError, match="ResponseStreamingError"):
        bucket.get("name", 0, 7)


def test_what_is_not_there(storage_url: str) -> None:
    bucket = open_bucket(storage_url)
    with pytest.raises(ObjectMissingError):
        bucket.head("nothing")
    with pytest.raises(ObjectMissingError):
        bucket.get("nothing", 0, 1)
    bucket.delete(["nothing"])
    bucket.abort_upload("nothing", "no-upload")


def test_a_storage_that_is_away_or_refuses_says_so_without_secrets(
    storage_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    away = f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"
    with pytest.raises(StorageUnavailableError, match="EndpointConnectionError") as refusal:
        open_bucket(away).head("x")
    with pytest.raises(StorageUnavailableError, match="NoSuchBucket"):
        open_bucket(storage_url.replace("bucket-", "other-")).put("x", [b"x"])
    assert "127.0.0.1" not in str(refusal.value)
    assert "127.0.0.1" in caplog.text  # the operator is told
    assert object_store.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in caplog.text


def test_without_boto3_it_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    bucket_module._client.cache_clear()
    with pytest.raises(StorageUnavailableError, match=r"espalier\[s3\]"):
        open_bucket("s3://b")
