"""Fake model hub on a loopback port: enough of the Hugging Face protocol for downloads, and for every way they fail.

Point ``HF_ENDPOINT`` at ``Hub.url`` and ``HF_HOME`` at an empty folder, in a process of its own: the client reads both
once, when it is imported.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests import http_servers
from tests.http_servers import Quiet

Response = tuple[int, dict[str, str], bytes]


@dataclass
class FakeHub:
    """Models and data sets (``datasets/<name>``) by name: commit by branch, folder by commit."""

    url: str = ""
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    folders: dict[tuple[str, str], Path] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    tokens: dict[str, str] = field(default_factory=dict)
    """Private names, and the token that shows them."""
    revoked: set[str] = field(default_factory=set)
    """Tokens that are refused, for public repositories too."""
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Metadata of the card, by name."""
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and message of every response about a name."""
    downloads: list[str] = field(default_factory=list)
    """Paths that were sent, in order."""

    def publish(self, name: str, folder: Path, branch: str = "main") -> str:
        """Let ``branch`` of a model be the files of ``folder``; returns the commit."""
        content = "".join(f"{name}{_sha1(file.read_bytes())}" for name, file in _files(folder))
        commit = _sha1(f"{name}{content}".encode())
        self.branches.setdefault(name, {})[branch] = commit
        self.folders[name, commit] = folder
        return commit

    def respond(self, path: str, authorization: str | None = None) -> Response:
        """What a GET of ``path`` returns."""
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        about = parts[:1] == ["api"] and len(parts) >= 3
        kind = "datasets/" if "datasets" in parts[:2] else ""
        rest = parts[2:] if about else parts[1:] if kind else parts
        if rest[0] in self.branches:  # a name without an organisation
            rest = ["", *rest]
        name = kind + "/".join(rest[:2]).removeprefix("/")
        if name in self.refusals:
            status, message = self.refusals[name]
            return _error(status, "", message)
        if (authorization or "").removeprefix("Bearer ") in self.revoked:
            return _error(401, "", "Invalid credentials in Authorization header")
        if name in self.tokens and authorization != f"Bearer {self.tokens[name]}":
            return _error(401, "RepoNotFound", "Repository not found")
        if about:
            return self._about(name, rest[2:])
        if len(rest) >= 5 and rest[2] == "resolve":
            return self._file(name, rest[3], "/".join(rest[4:]))
        return _error(404, "EntryNotFound", "no such page")

    def _about(self, name: str, rest: list[str]) -> Response:
        if name not in self.branches:
            return _error(401, "RepoNotFound", "Repository not found")
        commit = self._commit(name, rest[1] if len(rest) > 1 else "main")
        if commit is None:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        files = _files(self.folders[name, commit])
        if rest[:1] == ["tree"] and len(rest) > 2:
            return _error(404, "EntryNotFound", "there are no folders")
        if rest[:1] == ["tree"]:
            return _json(
                [
                    {"type": "file", "path": path, "size": file.stat().st_size, "oid": _sha1(file.read_bytes())}
                    for path, file in files
                ]
            )
        about = {"_id": commit, "id": name, "modelId": name, "sha": commit, "tags": []}
        card = {"cardData": self.cards[name]} if name in self.cards else {}
        config = self.folders[name, commit] / "config.json"
        if config.is_file():  # the hub shows an extract of it
            known = ("architectures", "model_type", "quantization_config")
            card["config"] = {key: value for key, value in json.loads(config.read_text()).items() if key in known}
        return _json({**about, **card, "siblings": [{"rfilename": path, "size": file.stat().st_size} for path, file in files]})

    def _file(self, name: str, revision: str, file: str) -> Response:
        if name in self.gated:
            return _error(403, "GatedRepo", f"Access to model {name} is restricted")
        commit = self._commit(name, revision)
        if commit is None:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        path = self.folders[name, commit] / file
        if not path.is_file():
            return _error(404, "EntryNotFound", "Entry not found")
        content = path.read_bytes()
        return 200, {"ETag": f'"{_sha1(content)}"', "X-Repo-Commit": commit}, content

    def _commit(self, name: str, revision: str) -> str | None:
        known = self.branches.get(name, {})
        return known.get(revision) or (revision if (name, revision) in self.folders else None)


@contextmanager
def serving(hub: FakeHub, port: int = 0) -> Iterator[FakeHub]:
    """Serve ``hub`` until the end of the block, on a free port or on ``port``; afterwards it refuses connections."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send(body=False)

        def do_GET(self) -> None:
            self._send(body=True)

        def _send(self, *, body: bool) -> None:
            status, headers, content = hub.respond(self.path, self.headers["Authorization"])
            if body and status == 200:
                hub.downloads.append(urlsplit(self.path).path)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    with http_servers.serving(Handler, port) as hub.url:
        yield hub


def _files(folder: Path) -> list[tuple[str, Path]]:
    """All files with their paths in the repository."""
    return sorted((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*") if file.is_file())


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _json(value: Any) -> Response:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _error(status: int, code: str, message: str) -> Response:
    return status, {"X-Error-Code": code, "X-Error-Message": message}, json.dumps({"error": message}).encode()
