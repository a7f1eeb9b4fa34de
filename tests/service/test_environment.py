"""Settings that cannot be read: named with variable and value, secrets never, and no program ends in a traceback."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.environment import format_faults, unknown_variables, warn_of_settings
from service.settings import Settings
from tests.processes import ROOT, CommandProcess

LINKS = {
    "ESPALIER_PORT": "tcp://10.1.2.3:80",
    "ESPALIER_PORT_80_TCP": "tcp://10.1.2.3:80",
    "ESPALIER_PORT_80_TCP_PROTO": "tcp",
    "ESPALIER_SERVICE_HOST": "10.1.2.3",
    "ESPALIER_SERVICE_PORT": "80",
}
"""As Kubernetes sets them in every container in the namespace of a Service named espalier."""
PROGRAMS = {
    "api": ["-c", "import api.process; api.process.create(); print('started')"],
    "worker": ["-m", "worker"],
    "migrations": ["-m", "migrations"],
    "health": ["-m", "worker.health"],
    "cli": ["-m", "espalier.cli", "db", "upgrade"],
}


@pytest.mark.parametrize("value", ["tcp://10.1.2.3:80", "udp://10.1.2.3:53", "TCP://[fd00::1]:8000"])
def test_a_service_link_is_no_port(value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("ESPALIER_PORT", value)
    with caplog.at_level(logging.WARNING):
        assert Settings().port == 8000
    assert value in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PORT", "http://a", "ESPALIER_PORT='http://a': "),
        ("PORT", "eighty", "ESPALIER_PORT='eighty': "),
        ("WORKER_SLOTS", "0", "ESPALIER_WORKER_SLOTS='0': "),
        ("LEASE_SECONDS", "a minute", "ESPALIER_LEASE_SECONDS='a minute': "),
        ("DATABASE_URL", "mysql://me:hush@host/db", "ESPALIER_DATABASE_URL: "),
        ("BROKER_URL", "amqp://me:hush@host", "ESPALIER_BROKER_URL: "),
        ("STORAGE_URL", "s3://key:hush@bucket", "ESPALIER_STORAGE_URL: "),
        ("HEARTBEAT_SECONDS", "59", "heartbeat_seconds"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(name: str, value: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ESPALIER_{name}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    faults = format_faults(refused.value)
    assert shown in faults
    assert "hush" not in faults
    assert "\n" not in faults


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_ends_in_a_traceback(program: str, tmp_path: Path) -> None:
    environment = os.environ | {"ESPALIER_DATA_DIR": str(tmp_path), "ESPALIER_WORKER_SLOTS": "many"}
    done = subprocess.run(
        [sys.executable, *PROGRAMS[program]], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "ESPALIER_WORKER_SLOTS='many': " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("program", "code"), [("api", 0), ("migrations", 0), ("health", 1), ("cli", 0)])
def test_programs_start_next_to_a_kubernetes_service_of_that_name(program: str, code: int, tmp_path: Path) -> None:
    environment = os.environ | {"ESPALIER_DATA_DIR": str(tmp_path)} | LINKS
    done = subprocess.run(
        [sys.executable, *PROGRAMS[program]], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert program != "health" or list(tmp_path.iterdir()) == [], "the probe created a database"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ESPALIER_WORKER_SLOT", " ESPALIER_WORKER_SLOTS?"),
        ("ESPALIER_DB_URL", "did you mean ESPALIER_DATABASE_URL?"),
        ("espalier_requires_keys", "did you mean ESPALIER_REQUIRE_KEYS?"),
        ("ESPALIER_XYZ", "docs/reference/settings.md"),
        ("ESPALIER_BROKER_PORT", ""),
    ],
)
def test_a_variable_without_effect_is_named_with_the_setting_that_was_meant(name: str, meant: str) -> None:
    found = unknown_variables({name: "7000", "PATH": "/bin", "ESPALIER_HOST": "::1", "espalier_port": "1"})
    assert list(found) == [name]
    assert meant in found[name]
    assert "7000" not in found[name]


def test_what_is_no_setting_of_the_service_and_known_is_not_named() -> None:
    links = LINKS | {"ESPALIER_REDIS_PORT": "tcp://10.1.2.4:6379", "ESPALIER_REDIS_SERVICE_PORT_TLS": "6380"}
    assert unknown_variables(links | {"ESPALIER_URL": "http://a", "ESPALIER_API_KEY": "x", "ESPALIER_SLOTS": ""}) == {}
    named = {f"ESPALIER_{name}": "1" for name in re.findall(r"\$\{ESPALIER_(\w+)", (ROOT / "docker-compose.yml").read_text())}
    assert unknown_variables(named) == {}, "variables of the compose file may be exported"


@pytest.mark.parametrize("program", ["api", "worker"])
def test_programs_that_run_for_long_say_so_when_they_start(program: str, tmp_path: Path) -> None:
    environment = {"ESPALIER_DATA_DIR": str(tmp_path), "ESPALIER_WORKER_SLOT": "2"}
    with CommandProcess([sys.executable, *PROGRAMS[program]], environment, tmp_path, program) as started:
        assert " ESPALIER_WORKER_SLOTS?" in started.wait_for_line("ESPALIER_WORKER_SLOT ")


def test_serve_says_it_once(tmp_path: Path) -> None:
    environment = {"ESPALIER_DATA_DIR": str(tmp_path), "ESPALIER_WORKER_SLOT": "2", "ESPALIER_PORT": "0"}
    with CommandProcess([sys.executable, "-m", "espalier.cli", "serve"], environment, tmp_path, "serve") as started:
        started.wait_for_line("Espalier listens", 60)
        assert started.stderr.count("ESPALIER_WORKER_SLOT ") == 1


def test_a_broker_whose_certificate_is_not_checked_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_settings(Settings(broker_url="rediss://:geheim@h/0"), {})
        assert caplog.text == ""
        warn_of_settings(Settings(broker_url="rediss://:geheim@h/0?ssl_cert_reqs=none"), {"ESPALIER_X": "1"})
    assert "ESPALIER_BROKER_URL" in caplog.text
    assert "ESPALIER_X" in caplog.text
    assert "geheim" not in caplog.text
