"""Fixtures of the API tests: the application over a migrated database, and jobs in any state."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, routing
from fastapi.testclient import TestClient

from api.app import create_app
from pruning.spec.schema import PruningSpec
from service.artifacts import store
from service.db import migrate
from service.db.engine import Database
from service.jobs import claims, commands, heartbeats
from service.jobs.fence import Fence
from service.settings import Settings

BODY: dict[str, Any] = {"model": "bert-base-uncased", "task": "sst2"}


def local(app: FastAPI) -> TestClient:
    """A client on the service's own machine: others are not let in without a key."""
    return TestClient(app, base_url="http://127.0.0.1:8000")


@dataclass(frozen=True)
class Jobs:
    """Makes jobs and moves them along."""

    database: Database
    folder: Path

    def queued(self, **spec: Any) -> str:
        with self.database.write() as session:
            return commands.create(session, spec=PruningSpec(**{**BODY, **spec}).model_dump(mode="json")).id

    def running(self, **spec: Any) -> str:
        """Of the queued jobs this is the one claimed: it is the only one."""
        job_id = self.queued(**spec)
        with self.database.write() as session:
            claimed = claims.claim(session, worker_id="w", lease_seconds=600)
            assert claimed is not None
            assert claimed.id == job_id
        return job_id

    def event(self, job_id: str, kind: str, **data: Any) -> int:
        with self.database.write() as session:
            return claims.record_event(session, Fence(job_id, 1), kind, data)

    def metrics(self, job_id: str, step: int, attempt: int = 1, **values: float) -> None:
        with self.database.write() as session:
            claims.record_metrics(session, Fence(job_id, attempt), step=step, values=values)

    def artifact(self, job_id: str, content: bytes, name: str = "mask.safetensors", chunk_bytes: int = 7, **options: Any) -> int:
        path = self.folder / name
        path.write_bytes(content)
        return store.put(
            self.database,
            Fence(job_id, 1),
            name=name,
            media_type="application/octet-stream",
            path=path,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            chunk_bytes=chunk_bytes,
            **options,
        )

    def finish(self, job_id: str) -> None:
        mask = self.artifact(job_id, b"mask")
        with self.database.write() as session:
            claims.succeed(session, Fence(job_id, 1), result={"final": {"accuracy": 0.9}}, mask_artifact_id=mask)

    def fail(self, job_id: str) -> None:
        error: Any = {"code": "diverged", "message": "no", "param": "seed", "kind": "user", "retryable": False}
        with self.database.write() as session:
            claims.fail(session, Fence(job_id, 1), error=error)

    def succeeded(self, **spec: Any) -> str:
        job_id = self.running(**spec)
        self.finish(job_id)
        return job_id

    def worker(self) -> None:
        with self.database.write() as session:
            heartbeats.record(session, worker_id="w", hostname="h", pid=1, slots=1)


@pytest.fixture(scope="session", autouse=True)
def _routes_prepared_once() -> Iterator[None]:
    """FastAPI prepares a router's routes at the first request for one of them, for each application again: 0.1 s for all of the
    interface, most of what a test takes. The applications here include the same routers alike, so that each has what was
    prepared for the first."""
    prepare = routing._EffectiveRouteContext.from_api_route
    prepared: dict[int, tuple[Any, Any]] = {}
    """By the route's id, which is taken: what was prepared holds the route."""

    def prepare_once(*, original_route: Any, include_context: Any) -> Any:
        included = replace(include_context, dependency_overrides_provider=None)  # the application; it has no overrides
        if prepared.get(id(original_route), (None,))[0] != included:
            prepared[id(original_route)] = included, prepare(original_route=original_route, include_context=include_context)
        return prepared[id(original_route)][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routing._EffectiveRouteContext, "from_api_route", prepare_once)
        yield


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with local(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="session")
def strict_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """For requests whose answer does not depend on what the database holds: one application for all of them."""
    folder = tmp_path_factory.mktemp("strict")
    url = f"sqlite:///{folder}/espalier.db"
    migrate.upgrade(url)
    with local(create_app(Settings(data_dir=folder, database_url=url))) as client:
        yield client


@pytest.fixture
def jobs(database: Database, tmp_path: Path) -> Jobs:
    return Jobs(database, tmp_path)


@pytest.fixture
def client_with(settings: Settings) -> Iterator[Callable[..., TestClient]]:
    """A client of an application with some settings changed."""
    opened: list[TestClient] = []

    def make(**changes: Any) -> TestClient:
        client = local(create_app(settings.model_copy(update=changes)))
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()
