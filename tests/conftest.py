"""Fixtures for all tests: a migrated database of either kind, Redis, an object storage, settings under a temporary folder."""

import gc
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import psycopg
import pytest
from sqlalchemy.engine import make_url

from service.db import migrate
from service.db.engine import Database
from service.settings import Settings
from service.tracing import spans
from tests import object_store, poolers, services
from tests.json_logs import log_configuration_kept, log_reaches_pytest
from tests.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from tests.recorded_traces import RecordedTraces

T = TypeVar("T")
_TESTS = Path(__file__).parent
DATABASES = ("sqlite", "postgresql")
_MARK_OF_FOLDER = {
    "browser": "browser",
    "demo": "slow",
    "deploy": "slow",
    "docs": "docs",
    "faults": "faults",
    "flow": "slow",
    "fuzz": "slow",
    "pruning/export": "slow",
    "pruning/training": "slow",
    "scripts": "slow",
    "worker": "slow",
}
"""Marks by folder; ``slow`` elsewhere stands in the modules."""
_ON_ONE_DATABASE = ("api/errors", "api/middleware", "api/pages")
"""Folders whose tests run on one database each, SQLite or PostgreSQL by their name: what they check has no SQL of its own, but
calls functions that the tests of ``api/routes`` and ``service`` run on both. The other half is ``exhaustive``."""
_LONGEST = tuple(
    str(_TESTS / name)
    for name in (
        "docs flow pruning/masking/kernels fuzz api/test_schemathesis pruning/export pruning/training browser faults migrations "
        "worker pruning/hub pruning/cli espalier benchmarks deploy scripts service pruning"
    ).split()
)
"""Folders and files by how long one of their files takes, the longest first."""
_STARTS_PROCESSES = {"subprocess", "warm_trainer", "multiprocessing", "CommandProcess", "ModuleProcess", "fork", "nginx", "stunnel"}
"""Names by which a module shows that it starts processes: all of its tests are slow."""
_SERVICES = {"postgres_url", "redis_url", "redis_server", "object_server", "pooled_url"}
"""Fixtures that are a real service."""


gc.disable()  # until the modules of all tests are imported
os.environ["PYTHONFAULTHANDLER"] = "1"  # a child that dies by a signal leaves the stacks of its threads


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a test that failed with a ``CalledProcessError`` show what the child wrote, which the error leaves out."""
    report = yield
    fault = call.excinfo.value if call.excinfo else None
    if isinstance(fault, subprocess.CalledProcessError):
        for name, output in (("stdout", fault.stdout), ("stderr", fault.stderr)):
            shown = output.decode(errors="replace") if isinstance(output, bytes) else output
            report.sections.append((f"{name} of the child, exit code {fault.returncode}", shown or ""))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """The log of a process is configured by code that tests and fixtures call; each test starts with all lines reaching pytest."""
    log_reaches_pytest()
    with log_configuration_kept():
        return (yield)


def pytest_collection_finish() -> None:
    """Garbage collections leave out what was imported, and are rare: they took a quarter of the time of tests in this process."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--exhaustive``: products of parameters in full. ``--fast``: what needs no process and no service."""
    parser.addoption("--exhaustive", action="store_true", help="run also the cases of products that pairs stand for")
    parser.addoption("--fast", action="store_true", help="leave out what is slow or needs a process, a service or a browser")


def pytest_configure(config: pytest.Config) -> None:
    """``--fast`` is a selection by marks."""
    if config.getoption("fast"):
        config.option.markexpr = "not (slow or services or faults or browser or docs or gpu)"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``--fast``, folders of which all tests are left out are not even imported."""
    return (config.getoption("fast") and _folder_mark(collection_path) is not None) or None


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folder and by the services that they use, and leave out what is ``exhaustive``."""
    _mark(items)
    if hasattr(config, "workerinput"):  # of pytest-xdist, which takes files in this order: none of the long ones comes last
        items.sort(key=lambda item: next((i for i, name in enumerate(_LONGEST) if f"{item.path}".startswith(name)), len(_LONGEST)))
    if not config.getoption("exhaustive"):
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


def _folder_mark(folder: Path) -> str | None:
    """The mark of all tests in ``folder``."""
    if not folder.is_relative_to(_TESTS):
        return None
    path = f"{folder.relative_to(_TESTS).as_posix()}/"
    return next((mark for name, mark in _MARK_OF_FOLDER.items() if path.startswith(f"{name}/")), None)


def _mark(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(_TESTS).parent.as_posix()
        if (mark := _folder_mark(item.path.parent)) is not None:
            item.add_marker(mark)
        if not _STARTS_PROCESSES.isdisjoint(vars(getattr(item, "module", None) or item)):
            item.add_marker("slow")
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        database = parameters.get("database_url", "sqlite")
        if database == "postgresql" or _SERVICES & set(getattr(item, "fixturenames", ())):
            item.add_marker("services")
        if "database_url" in parameters and folder.startswith(_ON_ONE_DATABASE):
            name = item.nodeid.replace(database, "")
            if DATABASES[zlib.crc32(name.encode()) % 2] != database:
                item.add_marker("exhaustive")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL database for this session."""
    yield from or_skip(services.postgres)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """An empty Redis database for this session."""
    yield from or_skip(services.redis_url)


@pytest.fixture
def redis_server() -> Iterator[services.RedisServer]:
    """A private Redis, running, that the test may kill."""
    try:
        server = services.RedisServer()
    except services.UnavailableError as error:
        _skip(error)
    with server:
        yield server


@pytest.fixture(scope="session")
def object_server() -> Iterator[str]:
    """URL of an S3-compatible server for this session."""
    with object_store.server() as url:
        yield url


@pytest.fixture
def storage_url(object_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, as the setting of this name has it, with the credentials in the environment."""
    for name, value in object_store.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return object_store.new_bucket(object_server)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without rows; the test runs once per kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "test.db")
        return f"sqlite:///{tmp_path}/test.db"
    url: str = request.getfixturevalue("empty_postgres")
    return url


@pytest.fixture
def empty_postgres(migrated_postgres: str) -> str:
    """The session's PostgreSQL database with its tables and no rows."""
    _empty(migrated_postgres)
    return migrated_postgres


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Everything under a temporary folder, on either database, with the filesystem broker; no environment is read."""
    return Settings(data_dir=tmp_path / "data", database_url=database_url, broker_url="filesystem://")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ESPALIER_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)


@pytest.fixture
def traces() -> "Iterator[RecordedTraces]":
    """Tracing is on in this process, and its spans are kept."""
    from tests.recorded_traces import RecordedTraces  # OpenTelemetry's SDK, which few tests need

    recorded = RecordedTraces()
    spans.install(recorded.tracing)
    yield recorded
    spans.stop()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to copy: migrating takes a third of a second, copying does not."""
    path = tmp_path_factory.mktemp("migrated") / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """The session's PostgreSQL database with its tables, in the state in which the last test left them."""
    migrate.upgrade(postgres_url)
    return postgres_url


_DELETE_ALL = """
DELETE FROM jobs;
DELETE FROM sweeps;
DELETE FROM webhooks;
DELETE FROM workers;
DELETE FROM maintenance_turns;
DELETE FROM api_keys;
DELETE FROM secrets;
DELETE FROM answers;
DELETE FROM datasets;
DELETE FROM uploaded_masks;
DELETE FROM uploaded_models;
"""
"""Other rows belong to jobs. TRUNCATE would make new files for every table."""


def _empty(url: str) -> None:
    """Delete all rows in one round trip."""
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        connection.execute(_DELETE_ALL)


def or_skip(service: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
    try:
        with service() as started:
            yield started
    except services.UnavailableError as error:
        _skip(error)


def _skip(reason: services.UnavailableError) -> NoReturn:
    """Where CI runs, a service that is missing is a broken CI and not a reason to test less."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has no {reason}")
    pytest.skip(str(reason))


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    """The test's PostgreSQL behind PgBouncer in transaction mode, without the parameter that says so."""
    yield from or_skip(partial(poolers.pgbouncer, database_url))


@pytest.fixture
def tcp_proxy(database_url: str) -> Iterator[TcpProxy]:
    """Between the test and the test's PostgreSQL."""
    with TcpProxy(database_url) as network:
        yield network
