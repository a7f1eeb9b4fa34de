"""S3-compatible object store for tests: moto's server, in a thread of this process.

Other processes reach it too, with ``CREDENTIALS`` in their environment.
"""

import contextlib
import logging
import secrets
from collections.abc import Iterator
from typing import Any

from service.artifacts.s3 import open_bucket

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "espalier-tests", "AWS_SECRET_ACCESS_KEY": "must-not-be-seen"}


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a server that runs inside the block."""
    from moto.server import ThreadedMotoServer  # a second of imports, for the tests that need it

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request otherwise
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        moto.stop()


def new_bucket(endpoint: str) -> str:
    """A ``storage_url`` in an empty bucket. Credentials must be in the environment."""
    name = f"bucket-{secrets.token_hex(6)}"
    url = f"s3://{name}/here?endpoint={endpoint}"
    client(url).create_bucket(Bucket=name)
    return url


def client(url: str) -> Any:
    """The SDK's own client, for operations that the service does not have."""
    return open_bucket(url)._client


def objects(url: str) -> dict[str, int]:
    """Sizes of all objects, by name."""
    bucket = open_bucket(url)
    return {name: bucket.head(name)[0] for page in bucket.list_pages("") for name in page}
