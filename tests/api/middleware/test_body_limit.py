"""Request bodies above the limit are refused, with an announced length and without."""

from collections.abc import Callable, Iterator

from fastapi.testclient import TestClient

from tests.api.conftest import BODY
from tests.api.problems import assert_problem


def test_announced_body_too_large(client_with: Callable[..., TestClient]) -> None:
    client = client_with(max_body_bytes=1000)
    assert client.post("/v1/jobs", json=BODY | {"metadata": {"k": "x" * 400}}).status_code == 202
    assert_problem(client.post("/v1/jobs", json=BODY | {"metadata": {"k": "x" * 1000}}), 413, "body_too_large")


def test_streamed_body_too_large(client_with: Callable[..., TestClient]) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    assert_problem(client_with(max_body_bytes=1000).post("/v1/jobs", content=pieces()), 413, "body_too_large")
