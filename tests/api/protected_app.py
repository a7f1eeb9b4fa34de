"""An application that requires API keys, callers with keys, and one resource for each path parameter."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import update

from service.access import api_keys
from service.access.api_keys import Scope
from service.db.engine import Database
from service.db.models import Job
from tests.api.conftest import BODY, Jobs
from tests.api.problems import Response
from tests.model_folders import make_model
from tests.pruning.formats.test_mask_file import written

_ROW = json.dumps({"text": "a fine film", "label": 1})
_MADE_BY_POST: dict[str, tuple[str, dict[str, Any]]] = {
    "sweep_id": ("/v1/sweeps", {"json": {"base": BODY, "sparsities": [0.5, 0.9]}}),
    "webhook_id": ("/v1/webhooks", {"json": {"url": "https://93.184.215.14/hook"}}),
    "model_id": ("/v1/models", {}),
    "mask_id": ("/v1/masks", {}),
    "dataset_id": ("/v1/datasets", {"files": {"train": ("train.jsonl", _ROW), "validation": ("v.jsonl", _ROW)}}),
}
"""Path parameter → what is posted where to get a thing that it names."""


def _model_files() -> list[tuple[str, tuple[str, bytes]]]:
    with TemporaryDirectory() as folder:
        return [("file", (file.name, file.read_bytes())) for file in make_model(Path(folder) / "toy").iterdir()]


def _mask_file() -> bytes:
    with TemporaryDirectory() as folder:
        return written(Path(folder)).read_bytes()


@dataclass
class Keyring:
    """Keys of owners, made when first asked for."""

    database: Database
    _made: dict[tuple[str, tuple[Scope, ...]], dict[str, str]] = field(default_factory=dict)

    def header_of(self, owner: str, *scopes: Scope) -> dict[str, str]:
        """The header that its holder sends; without ``scopes`` that of a key that reads and writes."""
        if (owner, scopes) not in self._made:
            with self.database.write() as session:
                _, key = api_keys.create(session, name="test", owner=owner, scopes=scopes or (Scope.READ, Scope.WRITE))
            self._made[owner, scopes] = {"Authorization": f"Bearer {key}"}
        return self._made[owner, scopes]


@dataclass
class ProtectedApp:
    """The application, and things in it that all are of owner ``a``."""

    client: TestClient
    keys: Keyring
    jobs: Jobs
    _ids: dict[str, str] = field(default_factory=dict)

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Method, path and declaration of every route."""
        return [
            (method.upper(), path, operation)
            for path, methods in self._document["paths"].items()
            for method, operation in methods.items()
        ]

    def request(self, method: str, path: str, headers: dict[str, str] | None = None) -> Response:
        """A request about the things of ``a``, with the first of the body's examples."""
        named = {name: self.id(name) for name in re.findall(r"\{(\w+)\}", path)}
        if "model_id" in named and "name" in named:  # of a file of the model, not of an artifact
            named["name"] = "config.json"
        body = self._example(self._document["paths"][path][method.lower()])
        return self.client.request(method, path.format(**named), headers=headers, json=body)

    @cached_property
    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = self.client.get("/openapi.json").json()
        return document

    def _example(self, operation: dict[str, Any]) -> Any:
        content = operation.get("requestBody", {}).get("content", {})
        name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        return next(iter(self._document["components"]["schemas"].get(name, {}).get("examples", ())), None)

    def job(self, make: Callable[[], str]) -> str:
        """A job of ``a`` in the state in which ``make`` leaves it."""
        job_id = make()
        with self.jobs.database.write() as session:
            session.execute(update(Job).where(Job.id == job_id).values(owner="a"))
        return job_id

    def id(self, parameter: str) -> str:
        """What the path parameter of this name may be."""
        if parameter not in self._ids:
            if parameter == "job_id":
                self._ids |= {"job_id": self.job(self.jobs.succeeded), "name": "mask.safetensors"}
            else:
                assert parameter in _MADE_BY_POST, f"let {__name__} make something that {{{parameter}}} names"
                path, body = _MADE_BY_POST[parameter]
                if parameter == "model_id":
                    body = {"files": _model_files()}
                if parameter == "mask_id":
                    body = {"files": {"file": ("mask.safetensors", _mask_file())}}
                made = self.client.post(path, headers=self.keys.header_of("a"), **body)
                assert made.is_success, made.text
                self._ids[parameter] = made.json()["id"]
        return self._ids[parameter]
