"""The only file that talks to an S3-compatible store. ``boto3`` is imported when the first bucket is used, never before.

Names are relative to the address's prefix. Credentials come from the SDK's own chain (``AWS_ACCESS_KEY_ID`` and so on).
Every function raises StorageUnavailableError when the store does not answer or refuses; what it said goes to the log, for an
error's text is shown to users.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from typing import Any

from service.errors import ObjectMissingError, StorageUnavailableError
from service.urls import StorageUrl, parse_storage_url

PART_BYTES = 8 * 1024 * 1024
"""Uploaded at a time. S3 allows 10,000 parts, which makes 78 GiB the largest file, and parts under 5 MiB only at the end."""
READ_BYTES = 4 * 1024 * 1024
"""Read at a time, whole: a slow reader keeps no connection."""
_READ_TRIES = 3
_MISSING = {"NoSuchKey", "NoSuchUpload", "NotFoundError", "404"}
_making = threading.Lock()
log = logging.getLogger(__name__)


def open_bucket(url: str) -> "Bucket":
    """The store at ``url``; nothing is asked yet.

    Raises StorageUnavailableError without ``boto3``, or where that finds no profile.
    """
    address = parse_storage_url(url)
    with _making:  # clients may be shared by threads, but not made by several at a time
        return Bucket(address, _client(address.endpoint, address.region))


class Bucket:
    """One address. Any thread may use it."""

    def __init__(self, address: StorageUrl, client: Any) -> None:
        self.url = address
        self._client = client
        self._bucket = {"Bucket": address.bucket}

    def put(
        self,
        name: str,
        parts: Iterable[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        part_stored: Callable[[], None] = lambda: None,
    ) -> None:
        """Store ``parts``, each of PART_BYTES but for the last, as one object: all of it or nothing.

        ``part_stored`` is called after each part that the store has; what it or ``parts`` raises ends the upload.
        """
        pending = iter(parts)
        first, second = next(pending, b""), next(pending, None)
        where = {**self._bucket, "Key": self.url.key(name), "Metadata": dict(metadata or {})}
        if second is not None:
            self._put_parts(where, chain((first, second), pending), part_stored)
            return
        with self._asking(f"put {name}"):
            self._client.put_object(**where, Body=first)
        part_stored()

    def head(self, name: str) -> tuple[int, dict[str, str]]:
        """Size in bytes of an object, and what was put with it. Raises ObjectMissingError."""
        with self._asking(f"look at {name}"):
            found = self._client.head_object(**self._bucket, Key=self.url.key(name))
        return int(found["ContentLength"]), dict(found["Metadata"])

    def get(self, name: str, start: int, stop: int) -> bytes:
        """The bytes ``start`` (included) to ``stop`` (excluded; more than ``start``). Raises ObjectMissingError."""
        wanted = {**self._bucket, "Key": self.url.key(name), "Range": f"bytes={start}-{stop - 1}"}
        for left in reversed(range(_READ_TRIES)):
            try:
                with self._asking(f"get {name}"):  # the SDK repeats requests, but not what breaks while the body comes
                    return bytes(self._client.get_object(**wanted)["Body"].read())
            except ObjectMissingError:
                raise
            except StorageUnavailableError:
                if not left:
                    raise
        raise AssertionError("unreachable")

    def list_pages(self, folder: str) -> Iterator[list[str]]:
        """Names of all objects under ``folder``, up to a thousand at a time."""
        for page in self._paged("list_objects_v2", "Contents", Prefix=self.url.key(folder)):
            yield [self._name(found["Key"]) for found in page]

    def list_folders(self, folder: str) -> set[str]:
        """The names right under ``folder`` that have something below them."""
        prefix = self.url.key(folder)
        pages = self._paged("list_objects_v2", "CommonPrefixes", Prefix=prefix, Delimiter="/")
        return {found["Prefix"][len(prefix) : -1] for page in pages for found in page}

    def list_uploads(self, folder: str) -> list[tuple[str, str]]:
        """Names and ids of the uploads under ``folder`` that were begun and neither completed nor given up."""
        pages = self._paged("list_multipart_uploads", "Uploads", Prefix=self.url.key(folder))
        return [(self._name(found["Key"]), found["UploadId"]) for page in pages for found in page]

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are gone are no error. One by one: not every store can do more."""
        for name in names:
            with self._asking(f"delete {name}"):
                self._client.delete_object(**self._bucket, Key=self.url.key(name))

    def abort_upload(self, name: str, upload: str) -> None:
        """Give up an upload and free what it holds; one that is gone is no error."""
        with suppress(ObjectMissingError), self._asking(f"abort {name}"):
            self._client.abort_multipart_upload(**self._bucket, Key=self.url.key(name), UploadId=upload)

    def _put_parts(self, where: dict[str, Any], parts: Iterable[bytes], arrived: Callable[[], None]) -> None:
        key = {name: where[name] for name in ("Bucket", "Key")}
        with self._asking("begin an upload"):
            upload = self._client.create_multipart_upload(**where)["UploadId"]
        try:
            done: list[dict[str, Any]] = []
            for number, data in enumerate(parts, start=1):
                with self._asking(f"put part {number}"):
                    put = self._client.upload_part(**key, UploadId=upload, PartNumber=number, Body=data)
                done.append({"PartNumber": number, "ETag": put["ETag"]})
                arrived()
            with self._asking("complete an upload"):
                self._client.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": done})
        except BaseException:
            try:
                self.abort_upload(self._name(where["Key"]), upload)
            except StorageUnavailableError:
                log.warning("an upload could not be given up; the sweep does it later")
            raise

    def _paged(self, operation: str, field: str, **where: str) -> Iterator[list[dict[str, Any]]]:
        pages = iter(self._client.get_paginator(operation).paginate(**self._bucket, **where))
        while True:
            with self._asking(operation):
                page = next(pages, None)
            if page is None:
                return
            yield page.get(field, [])

    def _name(self, key: str) -> str:
        return key[len(self.url.key("")) :]

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            answered = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            if answered in _MISSING:
                raise ObjectMissingError from error
            log.warning("the object storage s3://%s failed to %s: %s", self.url.location, what, error)
            raise StorageUnavailableError(
                f"The object storage cannot be used: {answered or type(error).__name__}."
            ) from error


@cache
def _client(endpoint: str | None, region: str | None) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise StorageUnavailableError("Objects need boto3; install it with: pip install 'espalier[s3]'") from error
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        # stores other than AWS know neither the newer checksums nor, as a rule, buckets as host names; the signature
        # covers the sha-256 of each part
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"payload_signing_enabled": True, "addressing_style": "path" if endpoint else "auto"},
    )
    region = region or ("us-east-1" if endpoint else None)  # stores of one region ask for some name all the same
    try:
        return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config)
    except BotoCoreError as error:  # e.g. AWS_PROFILE names none that is there
        log.warning("the object storage cannot be used: %s", error)
        raise StorageUnavailableError(f"The object storage cannot be used: {type(error).__name__}.") from error
