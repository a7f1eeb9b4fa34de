"""Downloads over connections that break: complete and verified, or absent."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from espalier.client._sync import download as download_module
from espalier.client._sync.download import download
from espalier.client._sync.http import Http
from espalier.client.models import Artifact
from espalier.errors import ApiError, DownloadCorruptError, UnreachableError

CONTENT = bytes(range(256)) * 1000
ARTIFACT = Artifact(name="m", bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), url="/v1/m")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "PAUSE_SECONDS", 0.001)


class Server:
    """Serves CONTENT; each connection breaks after ``cut`` bytes."""

    def __init__(self, *, cut: int | None = None, ranges: bool = True, content: bytes = CONTENT) -> None:
        self.asked: list[str | None] = []
        self._cut, self._ranges, self._content = cut, ranges, content

    def __call__(self, request: httpx.Request) -> httpx.Response:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self._ranges else 0  # type: ignore[index]
        headers = {"Content-Range": f"bytes {start}-{len(self._content) - 1}/{len(self._content)}"} if start else {}
        return httpx.Response(206 if start else 200, headers=headers, content=self._pieces(start))

    def _pieces(self, start: int) -> Iterator[bytes]:
        stop = len(self._content) if self._cut is None else min(len(self._content), start + self._cut)
        yield self._content[start:stop]
        if stop < len(self._content):
            raise httpx.ReadError("connection reset")


def http(server: Server) -> Http:
    return Http("http://service.test", transport=httpx.MockTransport(server))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_without_interruption(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download(http(Server()), ARTIFACT, tmp_path / "new" / "mask", lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert left(path.parent) == ["mask"]


def test_a_download_that_is_cut_repeatedly(tmp_path: Path) -> None:
    server = Server(cut=50_000)
    assert download(http(server), ARTIFACT, tmp_path / "mask").read_bytes() == CONTENT
    assert server.asked[:3] == [None, "bytes=50000-", "bytes=100000-"]


def test_a_later_call_continues_a_partial_file(tmp_path: Path) -> None:
    class Once(Server):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if self.asked:
                raise httpx.ConnectError("down")
            return super().__call__(request)

    with pytest.raises(UnreachableError):
        download(http(Once(cut=70_000)), ARTIFACT, tmp_path / "mask")
    assert not (tmp_path / "mask").exists()
    server = Server()
    assert download(http(server), ARTIFACT, tmp_path / "mask").read_bytes() == CONTENT
    assert server.asked == ["bytes=70000-"]


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    (tmp_path / f".mask.{ARTIFACT.sha256[:16]}.part").write_bytes(CONTENT[:1000])
    assert download(http(Server(ranges=False)), ARTIFACT, tmp_path / "mask").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT + b"more"])
def test_a_corrupt_download_is_refused_and_removed(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DownloadCorruptError):
        download(http(Server(content=content)), ARTIFACT, tmp_path / "mask")
    assert left(tmp_path) == []


def test_a_short_response_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="1000"):
        download(http(Server(content=CONTENT[:1000], ranges=False)), ARTIFACT, tmp_path / "mask")
    assert not (tmp_path / "mask").exists()


def test_an_empty_artifact(tmp_path: Path) -> None:
    empty = Artifact(name="m", bytes=0, sha256=hashlib.sha256(b"").hexdigest(), url="/v1/m")
    assert download(http(Server(content=b"")), empty, tmp_path / "mask").read_bytes() == b""


def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    asked = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404, json={"code": "artifact_not_found", "detail": "gone"})

    with pytest.raises(ApiError) as refused:
        download(Http("http://service.test", transport=httpx.MockTransport(refuse)), ARTIFACT, tmp_path / "mask")
    assert refused.value.code == "artifact_not_found"
    assert len(asked) == 1


def test_a_service_that_restarts_is_waited_for(tmp_path: Path) -> None:
    answers = [httpx.Response(503), httpx.Response(429, json={"code": "too_many_requests", "detail": "later"})]
    server = Server()
    transport = httpx.MockTransport(lambda request: answers.pop() if answers else server(request))
    assert download(Http("http://service.test", transport=transport), ARTIFACT, tmp_path / "m").read_bytes() == CONTENT
