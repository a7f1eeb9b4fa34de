"""Client of an S3-compatible object storage (boto3): put, head, get ranges, list, delete.

The only module that talks to the object storage; ``boto3`` is imported when the first bucket is opened. Called by
``service.artifacts.backends``, ``service.artifacts.garbage`` and the worker's checkpoint store. Names are relative to the URL's
prefix. Credentials come from the SDK's own chain (``AWS_ACCESS_KEY_ID`` and so on). Every function raises
StorageUnavailableError when the storage does not answer or refuses; details go to the log, because users see the error's text.

Uploads are boto3's managed transfers, without its threads: 24 parts of 8 MiB were stored with a peak of 10 MiB in the caller's
thread, against 95 MiB in eleven more threads by default, where moreover a KeyboardInterrupt raised by the source hung. So parts
are read one after the other, each once the former one is stored; an exception of the source between two parts aborts the
upload and is raised unchanged; and an object exists whole or not at all. After a part has failed, boto3 reads the source to its end
before it reports the error; sources must allow that. Downloads are ranges of our own, since a managed download would write to a
file as fast as it can, and a slow HTTP client must hold no connection to the storage.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from service.errors import ObjectMissingError, StorageUnavailableError
from service.urls import StorageUrl, parse_storage_url

PART_BYTES = 8 * 1024 * 1024
"""Uploaded at a time. S3 allows 10,000 parts, which makes 78 GiB the largest file, and parts under 5 MiB only at the end."""
READ_BYTES = 4 * 1024 * 1024
"""Bytes of one read, buffered: a slow reader holds no connection."""
_READ_ATTEMPTS = 3
_MISSING_CODES = {"NoSuchKey", "NoSuchUpload", "NotFound", "404"}
_client_lock = threading.Lock()
log = logging.getLogger(__name__)


def open_bucket(url: str) -> "Bucket":
    """The bucket at ``url``; sends no request yet.

    Raises StorageUnavailableError without ``boto3``, or where that finds no profile.
    """
    parsed = parse_storage_url(url)
    with _client_lock:  # threads may share clients, but not create them concurrently
        return Bucket(parsed, _client(parsed.endpoint, parsed.region, parsed.addressing))


class Bucket:
    """The objects under one storage URL. Thread-safe."""

    def __init__(self, url: StorageUrl, client: Any) -> None:
        self.url = url
        self._client = client
        self._bucket = {"Bucket": url.bucket}

    def put(self, name: str, parts: Iterable[bytes], *, metadata: Mapping[str, str] | None = None) -> None:
        """Store ``parts``, each of PART_BYTES except for the last, as one object: all of it or nothing.

        A part is taken from ``parts`` once the former one is stored. What ``parts`` raises aborts the upload.
        """
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(
            multipart_threshold=PART_BYTES,
            multipart_chunksize=PART_BYTES,
            use_threads=False,
            preferred_transfer_client="classic",  # "crt" has threads of its own
        )
        with self._translating_errors(f"put {name}"):
            self._client.upload_fileobj(
                _PartReader(parts), self.url.bucket, self.url.key(name), Config=config, ExtraArgs={"Metadata": dict(metadata or {})}
            )

    def head(self, name: str) -> tuple[int, dict[str, str]]:
        """Size of an object in bytes, and its metadata. Raises ObjectMissingError."""
        with self._translating_errors(f"head {name}"):
            found = self._client.head_object(**self._bucket, Key=self.url.key(name))
        return int(found["ContentLength"]), dict(found["Metadata"])

    def get(self, name: str, start: int, stop: int) -> bytes:
        """The bytes ``start`` (included) to ``stop`` (excluded; more than ``start``). Raises ObjectMissingError."""
        wanted = {**self._bucket, "Key": self.url.key(name), "Range": f"bytes={start}-{stop - 1}"}
        for attempts_left in reversed(range(_READ_ATTEMPTS)):
            try:
                with self._translating_errors(f"get {name}"):  # the SDK repeats requests, but not an interrupted body
                    return bytes(self._client.get_object(**wanted)["Body"].read())
            except ObjectMissingError:
                raise
            except StorageUnavailableError:
                if not attempts_left:
                    raise
        raise AssertionError("unreachable")

    def list_pages(self, folder: str) -> Iterator[list[str]]:
        """Names of all objects under ``folder``, up to a thousand at a time."""
        for page in self._paginate("list_objects_v2", "Contents", Prefix=self.url.key(folder)):
            yield [self._name(found["Key"]) for found in page]

    def list_folders(self, folder: str) -> set[str]:
        """The names directly under ``folder`` that have objects below them."""
        prefix = self.url.key(folder)
        pages = self._paginate("list_objects_v2", "CommonPrefixes", Prefix=prefix, Delimiter="/")
        return {found["Prefix"][len(prefix) : -1] for page in pages for found in page}

    def list_uploads(self, folder: str) -> list[tuple[str, str]]:
        """Names and ids of the multipart uploads under ``folder`` that are neither completed nor aborted."""
        pages = self._paginate("list_multipart_uploads", "Uploads", Prefix=self.url.key(folder))
        return [(self._name(found["Key"]), found["UploadId"]) for page in pages for found in page]

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; a missing one is not an error. One by one: not every storage can delete several per request."""
        for name in names:
            with self._translating_errors(f"delete {name}"):
                self._client.delete_object(**self._bucket, Key=self.url.key(name))

    def abort_upload(self, name: str, upload: str) -> None:
        """Abort a multipart upload and free its parts; a missing one is not an error."""
        with suppress(ObjectMissingError), self._translating_errors(f"abort {name}"):
            self._client.abort_multipart_upload(**self._bucket, Key=self.url.key(name), UploadId=upload)

    def _paginate(self, operation: str, field: str, **where: str) -> Iterator[list[dict[str, Any]]]:
        pages = iter(self._client.get_paginator(operation).paginate(**self._bucket, **where))
        while True:
            with self._translating_errors(operation):
                page = next(pages, None)
            if page is None:
                return
            yield page.get(field, [])

    def _name(self, key: str) -> str:
        return key[len(self.url.key("")) :]

    @contextmanager
    def _translating_errors(self, request: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            if code in _MISSING_CODES:
                raise ObjectMissingError from error
            log.warning("the object storage s3://%s failed to %s: %s", self.url.location, request, error)
            raise StorageUnavailableError(f"The object storage cannot be used: {code or type(error).__name__}.") from error


class _PartReader:
    """The file-like object that boto3 reads ``parts`` from, one part per call; it copies none that has the size read."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, fewer only at the end; all that is left if negative."""
        while size < 0 or len(self._rest) < size:
            part = next(self._parts, None)
            if part is None:
                break
            self._rest = self._rest + part if self._rest else part
        data = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(data) :]
        return data


@cache
def _client(endpoint: str | None, region: str | None, addressing: str | None) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise StorageUnavailableError("Objects need boto3; install it with: pip install 'espalier-pruning[s3]'") from error
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        # stores other than AWS know neither the newer checksums nor, as a rule, buckets as host names; the signature
        # covers the sha-256 of each part
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"payload_signing_enabled": True, "addressing_style": addressing or ("path" if endpoint else "auto")},
    )
    region = region or ("us-east-1" if endpoint else None)  # stores of one region still require a region name
    try:
        return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config)
    except BotoCoreError as error:  # e.g. AWS_PROFILE names a missing profile
        log.warning("the object storage cannot be used: %s", error)
        raise StorageUnavailableError(f"The object storage cannot be used: {type(error).__name__}.") from error
