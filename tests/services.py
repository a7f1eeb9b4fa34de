"""Real PostgreSQL and Redis for tests: those named, those that run on this machine, or private ones started from binaries.

Each function yields a URL that belongs to the test session alone (an own database, an own database number or an own
server) and leaves nothing behind. ``UnavailableError`` says why there is none; ``tests/conftest.py`` makes that a skip, or a
failure where ``CI=true``.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import redis
from sqlalchemy.engine import make_url

from tests.waiting import wait_until

_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
_REDIS = ("127.0.0.1", 6379)


class UnavailableError(Exception):
    """This machine has no such service and cannot start one."""


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """URL of an empty database, dropped in the end."""
    given = os.environ.get("ESPALIER_TEST_POSTGRES_URL")
    with contextlib.ExitStack() as stack:
        if given:
            server = given
        elif _postgres_answers(_POSTGRES):
            server = _POSTGRES
        else:
            server = stack.enter_context(private_postgres())
        yield stack.enter_context(_own_database(server))


@contextlib.contextmanager
def redis_url() -> Iterator[str]:
    """URL of an empty Redis database, emptied again in the end."""
    given = os.environ.get("ESPALIER_TEST_REDIS_URL")
    with contextlib.ExitStack() as stack:
        if given:
            yield given
        elif listens(*_REDIS):
            yield stack.enter_context(_own_number())
        else:
            yield stack.enter_context(RedisServer())


class RedisServer:
    """A private Redis that a test may stop, kill and start again on the same port. Yields its URL as a context."""

    def __init__(self, *options: str) -> None:
        """``options`` are further ones of ``redis-server``; with TLS the URL is the caller's to adapt."""
        self._options = options
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            raise UnavailableError("Redis: nothing listens on 127.0.0.1:6379 and there is no redis-server to start")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *self._options]
        self._process = subprocess.Popen(
            [str(self._binary), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        wait_until(lambda: listens("127.0.0.1", self.port), what="redis-server")

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP makes it unresponsive, SIGCONT brings it back."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """At once, with everything that it held."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> str:
        self.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self.kill()


@contextlib.contextmanager
def private_postgres() -> Iterator[str]:
    """A private server in a temporary folder. It refuses to run as root, so root starts it as another user."""
    tools = _postgres_tools()
    user = other_user() if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="espalier-postgres-") as folder:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data, port = f"{folder}/data", free_port()
        _run([f"{tools}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], user)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{folder}' -c fsync=off"
        _run([f"{tools}/pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start"], user)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _run([f"{tools}/pg_ctl", "-D", data, "-m", "immediate", "stop"], user)


def free_port() -> int:
    """A loopback port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _own_database(server: str) -> Iterator[str]:
    name = f"espalier_test_{secrets.token_hex(6)}"
    plain = server.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")  # it need not outlive a power cut
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def _own_number() -> Iterator[str]:
    """The highest database number of the shared server that is empty, marked as ours."""
    for number in range(15, 0, -1):
        url = f"redis://{_REDIS[0]}:{_REDIS[1]}/{number}"
        with redis.Redis.from_url(url) as client:
            if client.dbsize() == 0 and client.set("espalier-tests", os.getpid(), nx=True):
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    raise UnavailableError("Redis: every database of the server on 127.0.0.1:6379 is in use")


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def listens(host: str, port: int) -> bool:
    """Whether a server accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _postgres_tools() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise UnavailableError("PostgreSQL: user postgres cannot enter on 127.0.0.1:5432 and there is no initdb to start one")
    return folders[-1]


def other_user() -> pwd.struct_passwd:
    """An unprivileged user for a server that does not run as root."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise UnavailableError("PostgreSQL: it does not run as root and there is neither a user postgres nor nobody")


def _run(command: Sequence[str], user: pwd.struct_passwd | None) -> None:
    identity: dict[str, Any] = {}
    if user is not None:
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # output to a file and not a pipe: the server keeps it open, and reading a pipe to its end would wait for the server
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", **identity)
        if done.returncode != 0:
            output.seek(0)
            raise UnavailableError(f"PostgreSQL: {command[0]} failed: {output.read().decode(errors='replace')[-500:]}")
