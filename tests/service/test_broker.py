"""Wake-up messages on both brokers, and without one."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.app.defaults import SETTING_KEYS
from kombu import pools
from redis import Redis

from service.broker import QUEUE, WORK_TASK, celery_app, notify_workers
from service.settings import Settings
from tests.certificates import certificates_in
from tests.services import RedisServer, free_port, listens
from tests.waiting import wait_until


def app_of(broker_url: str, folder: Path) -> Celery:
    return celery_app(Settings(data_dir=folder, broker_url=broker_url))


def test_every_setting_is_one_that_celery_knows(tmp_path: Path) -> None:
    for broker_url in ("filesystem://", "redis://127.0.0.1:6379/0"):
        changes = dict(app_of(broker_url, tmp_path).conf.changes)
        assert not changes.pop("deprecated_settings", None)  # Celery's own note of old names in use
        assert set(changes) - set(SETTING_KEYS) == set()


def test_messages_are_json_and_acknowledged_early(tmp_path: Path) -> None:
    conf = app_of("redis://127.0.0.1:6379/0", tmp_path).conf
    assert (conf.accept_content, conf.task_serializer, conf.result_backend) == (["json"], "json", None)
    assert (conf.task_acks_late, conf.worker_prefetch_multiplier, conf.worker_disable_prefetch) == (False, 1, True)
    assert conf.worker_cancel_long_running_tasks_on_connection_loss is False


def test_a_wake_up_is_one_message_without_content(redis_url: str, tmp_path: Path) -> None:
    assert notify_workers(app_of(redis_url, tmp_path)) is True
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(QUEUE) == 1
        message = client.lpop(QUEUE)
    assert isinstance(message, bytes)
    assert f'"task": "{WORK_TASK}"'.encode() in message
    assert b'"content-type": "application/json"' in message


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates_in(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_port(certificates: Path) -> Iterator[int]:
    """A Redis with TLS; skips where the binary has none of it."""
    port = free_port()
    files = {"cert": "server.pem", "key": "server.key", "ca-cert": "ca.pem"}
    options = [part for name, file in files.items() for part in (f"--tls-{name}-file", str(certificates / file))]
    with RedisServer("--tls-port", str(port), "--tls-auth-clients", "no", *options):
        wait_until(lambda: listens("127.0.0.1", port), what="TLS")
        yield port


def test_the_certificate_of_the_broker_is_checked(certificates: Path, tls_port: int, tmp_path: Path) -> None:
    def sent(parameters: str) -> bool:
        return sent_alone(f"rediss://127.0.0.1:{tls_port}/0{parameters}", tmp_path)

    assert not sent("")
    assert sent(f"?ssl_ca_certs={certificates}/ca.pem")
    assert sent("?ssl_cert_reqs=none&ssl_check_hostname=false")


def test_the_name_in_the_certificate_counts(certificates: Path, tls_port: int, tmp_path: Path) -> None:
    authority = f"ssl_ca_certs={certificates}/ca.pem"
    named = f"rediss://localhost:{tls_port}/0?{authority}"  # the certificate is that of 127.0.0.1
    assert not sent_alone(named, tmp_path)
    assert sent_alone(f"{named}&ssl_check_hostname=false", tmp_path)


def sent_alone(broker_url: str, folder: Path) -> bool:
    """``notify_workers`` with connections of its own: kombu's pool takes URLs that differ in TLS alone for the same."""
    pools.reset()
    return notify_workers(app_of(broker_url, folder))


def test_the_filesystem_broker_creates_its_folders(tmp_path: Path) -> None:
    app = app_of("filesystem://", tmp_path / "not" / "there")
    assert not (tmp_path / "not").exists()  # before it is needed: importing the worker leaves nothing behind
    assert notify_workers(app) is True
    assert len(list((tmp_path / "not" / "there" / "broker" / "messages").iterdir())) == 1


@contextmanager
def quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 30


def test_without_a_broker_it_returns_false_and_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(f"redis://:secret@127.0.0.1:{free_port()}/0", tmp_path)
    for _ in range(2):
        with quickly(), caplog.at_level(logging.WARNING, "service.broker"):
            assert notify_workers(app) is False
    assert "broker unreachable" in caplog.text
    assert "secret" not in caplog.text


def test_a_hanging_or_dead_broker_returns_false_until_it_is_back(redis_server: RedisServer, tmp_path: Path) -> None:
    app = app_of(redis_server.url, tmp_path)
    assert notify_workers(app) is True
    redis_server.signal(signal.SIGSTOP)
    with quickly():
        assert notify_workers(app) is False
    redis_server.signal(signal.SIGCONT)
    assert notify_workers(app) is True
    redis_server.kill()
    with quickly():
        assert notify_workers(app) is False
    redis_server.start()
    assert notify_workers(app) is True


def test_a_broker_that_refuses_returns_false(redis_server: RedisServer, tmp_path: Path) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory", 1)  # noeviction: takes nothing new
        assert notify_workers(app_of(redis_server.url, tmp_path)) is False
        client.config_set("maxmemory", 0)
        client.config_set("requirepass", "secret")
        assert notify_workers(app_of(redis_server.url, tmp_path)) is False
        assert notify_workers(app_of(redis_server.url.replace("redis://", "redis://:wrong@"), tmp_path)) is False
        assert notify_workers(app_of(redis_server.url.replace("redis://", "redis://:secret@"), tmp_path)) is True


def test_a_broken_broker_folder_returns_false(tmp_path: Path) -> None:
    app = app_of("filesystem://", tmp_path)
    (tmp_path / "broker").write_text("a file where the folder should be")
    assert notify_workers(app) is False


_WORKER = f"""
import pathlib, sys, uuid
from service.broker import celery_app
from service.settings import Settings
app = celery_app(Settings())
@app.task(name="{WORK_TASK}")
def work(): pathlib.Path(sys.argv[1], uuid.uuid4().hex).touch()
app.worker_main(["worker", "--without-gossip", "--without-mingle", "--loglevel", "error"])
"""


@pytest.mark.parametrize("broker", ["filesystem", "redis"])
def test_a_worker_receives_every_message(broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server: RedisServer | None = request.getfixturevalue("redis_server") if broker == "redis" else None
    url = server.url if server else "filesystem://"
    received = tmp_path / "received"
    received.mkdir()

    def hears(count: int) -> bool:
        return len(list(received.iterdir())) == count

    app = app_of(url, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _WORKER, str(received)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "ESPALIER_BROKER_URL": url, "ESPALIER_DATA_DIR": str(tmp_path)},
    )
    try:
        for count in (1, 2):
            assert notify_workers(app) is True
            wait_until(partial(hears, count), what=f"message {count}")
        if server:  # a broker that comes back empty is received again
            with Redis.from_url(server.url) as asked:  # not killed while the worker still says that it received message 2
                wait_until(lambda: asked.hlen("unacked") == 0, what="the acknowledgement")
            server.kill()
            server.start()
            assert notify_workers(app) is True
            wait_until(partial(hears, 3), what="the message after the restart")
    finally:
        process.terminate()
        assert process.wait(20) == 0
