"""Backups, with the commands of their page: database and bucket are lost, and a service starts on the copies."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from api.app import create_app
from service.access import secrets
from service.artifacts import store
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.settings import Settings
from service.states import Status
from tests import object_store, patient_http, runbooks, services
from tests.conftest import or_skip
from tests.faults.cluster import Cluster, Stack, empty_database
from tests.faults.prefork_server import PreforkServer
from tests.service import factories
from tests.services import RedisServer
from tests.serving import serving

PAGE = "how-to/back-up"
KEY = "A" * 43 + "="


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A private server: pg_dump is as old as its programs, and older than the one on this machine's port perhaps."""
    yield from or_skip(services.private_postgres)


@pytest.fixture
def databases(server: str) -> tuple[str, str]:
    """The one of the original, and an empty one for the copy."""
    names = ("original", "copy")
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
    original, copy = (make_url(server).set(database=name).render_as_string(hide_password=False) for name in names)
    return original, copy


def downloaded(url: str, job_id: str) -> str:
    """SHA-256 of the mask, as an API serves it."""
    response = patient_http.get(f"{url}/v1/jobs/{job_id}/artifacts/mask.safetensors")
    assert response.status_code == 200, response.text
    return hashlib.sha256(response.content).hexdigest()


@pytest.mark.parametrize("with_objects", [False, True], ids=["database", "objects"])
def test_a_service_starts_on_copies(
    with_objects: bool,
    server: str,
    databases: tuple[str, str],
    redis_server: RedisServer,
    prefork_server: PreforkServer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    source, copy = databases
    storage: str | None = request.getfixturevalue("storage_url") if with_objects else None
    variables = {"ESPALIER_DATABASE_URL": source, "COPY_URL": copy, "ESPALIER_SECRET_KEY": KEY}
    copied_to = None
    if storage is not None:
        copied_to = object_store.new_bucket(request.getfixturevalue("object_server"))
        buckets = {"BUCKET": urlsplit(storage).netloc, "COPY_BUCKET": urlsplit(copied_to).netloc}
        variables |= {"ESPALIER_STORAGE_URL": storage, "COPY_STORAGE_URL": copied_to, **buckets}
        variables |= {"AWS_ENDPOINT_URL": request.getfixturevalue("object_server"), "AWS_DEFAULT_REGION": "us-east-1"}

    def cluster(name: str, url: str, storage_url: str | None) -> Cluster:
        return Cluster(Stack(name, url, redis_server.url), tmp_path / name, prefork_server, storage_url=storage_url)

    empty_database(Stack("original", source))
    with closing(cluster("original", source, storage)) as original:
        with_key = original.settings.model_copy(update={"secret_key": SecretStr(KEY)})
        original.write(secrets.put, with_key, "a", secrets.HUB_TOKEN, "hf_x")
        worker = original.start_worker(None, **object_store.CREDENTIALS)
        done = original.submit()
        original.wait_for_status(done, Status.SUCCEEDED)
        with original.database.read() as session:
            expected = store.get(session, done, "mask.safetensors").sha256
        worker.kill()
        waiting = original.submit()
        original.notify_workers()
        dump = runbooks.examples(PAGE, "PostgreSQL: back up")
        objects = runbooks.examples(PAGE, "Objects, after the dump") if with_objects else []
        runbooks.run([*dump, *objects], variables, tmp_path)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE original WITH (FORCE)")
    if storage is not None:
        open_bucket(storage).delete(list(object_store.objects(storage)))
    redis_server.kill()
    redis_server.start()

    restore = runbooks.examples(PAGE, "PostgreSQL: restore")
    objects = runbooks.examples(PAGE, "Objects, before anything is started") if with_objects else []
    runbooks.run([*restore, *objects, *runbooks.examples(PAGE, "Schema and check")], variables, tmp_path)
    with closing(cluster("copy", copy, copied_to)) as restored:
        restored.accepted += [done, waiting]
        restored.start_api(None, **object_store.CREDENTIALS)
        assert downloaded(restored.url, done) == expected
        restored.start_worker(None, **object_store.CREDENTIALS)
        assert restored.wait_for_status(waiting, Status.SUCCEEDED).attempt == 1
        assert downloaded(restored.url, waiting) == expected  # of the same spec
        assert downloaded(restored.url, done) == expected
        assert restored.finish().all == []


def test_the_embedded_service(migrated_sqlite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "espalier-data"
    folder.mkdir()
    (folder / "espalier.db").write_bytes(migrated_sqlite.read_bytes())
    settings = Settings(data_dir=folder)
    database = Database(settings.database_url)
    job = factories.succeeded(database, tmp_path)
    with database.write() as session:
        secrets.put(session, settings, "a", secrets.HUB_TOKEN, "hf_x")
    with database.read():  # at work: the newest rows are in the write-ahead log alone
        runbooks.run(runbooks.examples(PAGE, "The embedded service"), {}, tmp_path)
    database.dispose()
    with serving(create_app(Settings(data_dir=tmp_path / "restored"))) as url:
        assert downloaded(url, job.id) == hashlib.sha256(b"mask").hexdigest()
