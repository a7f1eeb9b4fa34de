"""Objects on an S3 server that is not ours (moto): whole or absent, and errors without secrets."""

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from service.artifacts import s3 as bucket_module
from service.artifacts.s3 import PART_BYTES, open_bucket
from service.errors import ObjectMissingError, StorageUnavailableError
from service.urls import parse_storage_url
from tests import object_store, services

PART = b"x" * PART_BYTES


@pytest.mark.parametrize("parts", [[], [b""], [b"small"], [PART, b"end"], [PART, PART]])
def test_objects_come_back_as_they_were_put(storage_url: str, parts: list[bytes]) -> None:
    bucket = open_bucket(storage_url)
    bucket.put("folder/name", parts, metadata={"sha256": "abc"})
    whole = b"".join(parts)
    assert bucket.head("folder/name") == (len(whole), {"sha256": "abc"})
    if whole:
        assert bucket.get("folder/name", 0, len(whole)) == whole
        assert bucket.get("folder/name", len(whole) - 2, len(whole)) == whole[-2:]
    assert [name for page in bucket.list_pages("folder/") for name in page] == ["folder/name"]
    assert bucket.list_folders("") == {"folder"}
    assert bucket.list_uploads("") == []


def test_a_part_is_taken_once_the_former_one_is_stored(storage_url: str) -> None:
    """So no more than two are ever in memory, and the source runs in the caller's own thread."""
    bucket, client = open_bucket(storage_url), object_store.client(storage_url)
    stored, threads = list[int](), set[int]()

    def parts() -> Iterator[bytes]:
        for number in range(4):
            yield bytes([number]) * PART_BYTES
            threads.add(threading.get_ident())
            ((name, upload),) = bucket.list_uploads("")
            listed = client.list_parts(Bucket=bucket.url.bucket, Key=bucket.url.key(name), UploadId=upload)
            stored.append(len(listed["Parts"]))

    bucket.put("name", parts())
    assert (stored, threads) == ([1, 2, 3, 4], {threading.get_ident()})
    assert bucket.head("name")[0] == 4 * PART_BYTES


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_an_upload_that_breaks_leaves_nothing(storage_url: str, good: int, error: type[BaseException]) -> None:
    def parts() -> Iterator[bytes]:
        yield from [PART] * good
        raise error("broken")

    bucket = open_bucket(storage_url)
    with pytest.raises(error, match="broken"):
        bucket.put("name", parts())
    assert object_store.objects(storage_url) == {}
    assert bucket.list_uploads("") == []


def test_a_part_that_the_storage_refuses_leaves_nothing(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    bucket, client = open_bucket(storage_url), object_store.client(storage_url)
    real = client._make_api_call

    def call(operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "UploadPart" and arguments["PartNumber"] == 2:
            raise EndpointConnectionError(endpoint_url="away")
        return real(operation, arguments)

    monkeypatch.setattr(client, "_make_api_call", call)
    with pytest.raises(StorageUnavailableError, match="EndpointConnectionError"):
        bucket.put("name", [PART] * 3)
    assert object_store.objects(storage_url) == {}
    assert bucket.list_uploads("") == []


def test_a_body_that_breaks_off_is_requested_again(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_missing_objects(storage_url: str) -> None:
    bucket = open_bucket(storage_url)
    with pytest.raises(ObjectMissingError):
        bucket.head("nothing")
    with pytest.raises(ObjectMissingError):
        bucket.get("nothing", 0, 1)
    bucket.delete(["nothing"])
    bucket.abort_upload("nothing", "no-upload")


def test_errors_of_the_storage_hold_no_secrets(storage_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    away = f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"
    with pytest.raises(StorageUnavailableError, match="EndpointConnectionError") as refusal:
        open_bucket(away).head("x")
    with pytest.raises(StorageUnavailableError, match="NoSuchBucket"):
        open_bucket(storage_url.replace("bucket-", "other-")).put("x", [b"x"])
    assert "127.0.0.1" not in str(refusal.value)
    assert "127.0.0.1" in caplog.text  # the operator finds it in the log
    assert object_store.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in caplog.text


def test_without_boto3_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    bucket_module._client.cache_clear()
    with pytest.raises(StorageUnavailableError, match=r"espalier-pruning\[s3\]"):
        open_bucket("s3://b")


def test_a_bucket_may_be_part_of_the_host_name(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto takes the first part of such a host name for the bucket; every name leads to this machine."""
    asked = list[str]()
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return resolve("127.0.0.1", *rest, **options)

    by_path = parse_storage_url(storage_url)
    name = by_path.bucket
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", getaddrinfo)
        assert by_path.endpoint is not None
        endpoint = by_path.endpoint.replace("127.0.0.1", "store.example")
        by_host = f"s3://{name}/here?endpoint={endpoint}&addressing=virtual"
        open_bucket(by_host).put("name", [b"content"])
        assert open_bucket(by_host).get("name", 0, 7) == b"content"
    assert f"{name}.store.example" in asked
    assert open_bucket(storage_url).get("name", 0, 7) == b"content"
