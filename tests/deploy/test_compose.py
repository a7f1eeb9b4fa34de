"""The compose file is valid and hardened: no root, read-only images, one published port.

``compose_spec.json`` is the Compose Specification's schema (Apache License 2.0) as docker-compose 1.29.2 ships it.
"""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from service.settings import Settings
from tests.processes import ROOT

SCHEMA = json.loads(Path(__file__).with_name("compose_spec.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = ("worker", "worker-cpu")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_the_compose_file_is_valid() -> None:
    jsonschema_rs.validate(SCHEMA, COMPOSE)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "inside" in service["networks"]
    if name != "migrate":
        assert service["healthcheck"]["test"]
        assert service["stop_grace_period"]
    image_user = "USER 10001:10001" in DOCKERFILE if "build" in service else service["user"].split(":")[0] != "0"
    assert image_user


def test_only_api_and_dashboard_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["api", "grafana"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_the_api_requires_keys() -> None:
    api = DOCKERFILE[DOCKERFILE.index("FROM base AS api") : DOCKERFILE.index("FROM base AS worker")]
    assert "ENV ESPALIER_REQUIRE_KEYS=true" in api
    for name in ("api", *WORKERS):  # workers keep owners apart where keys are required
        assert SERVICES[name]["environment"]["ESPALIER_REQUIRE_KEYS"] == "true"


def test_migrations_come_first() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("api", *WORKERS):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert "redis" not in SERVICES["api"]["depends_on"]


def test_one_worker_has_a_gpu_and_one_needs_none() -> None:
    (device,) = SERVICES["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in SERVICES["worker-cpu"]
    assert (SERVICES["worker"]["profiles"], SERVICES["worker-cpu"]["profiles"]) == (["gpu"], ["cpu"])


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_time_to_requeue_its_jobs(name: str) -> None:
    grace = float(SERVICES[name]["environment"]["ESPALIER_TERM_GRACE_SECONDS"])
    assert seconds(SERVICES[name]["stop_grace_period"]) >= grace + 15


def test_monitoring_is_optional_and_reads_what_is_scraped() -> None:
    assert SERVICES["prometheus"]["profiles"] == SERVICES["grafana"]["profiles"] == ["monitoring"]
    for name in ("prometheus", "grafana"):
        mounts = [volume.split(":") for volume in SERVICES[name]["volumes"] if volume.startswith("./")]
        assert all((ROOT / source).is_dir() and mode == "ro" for source, _, mode in mounts)
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    discovered = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"]}
    (api_port,) = SERVICES["api"]["ports"]
    assert discovered["espalier-api"]["names"] == ["api"]
    assert api_port.endswith(f":{discovered['espalier-api']['port']}")
    assert discovered["espalier-worker"]["names"] == [*WORKERS]
    for name in WORKERS:
        assert SERVICES[name]["environment"]["ESPALIER_WORKER_METRICS_PORT"] == str(discovered["espalier-worker"]["port"])
    key = f"/run/secrets/{SERVICES['prometheus']['secrets'][0]}"
    assert config["scrape_configs"][0]["authorization"] == {"credentials_file": key}
    (source,) = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"].split("//")[1].split(":")[0] in SERVICES
    (provider,) = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/espalier.yml").read_text())["providers"]
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in SERVICES["grafana"]["volumes"])


def test_redis_persists_and_never_evicts() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_no_password_is_in_an_environment() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.findall(r"\$\{\w*(?:PASSWORD|SECRET_KEY)", text)
    assert "://" not in json.dumps({name: service.get("environment") for name, service in SERVICES.items()})
    used = {secret for service in SERVICES.values() for secret in service["secrets"]}
    assert used == set(COMPOSE["secrets"])
    assert all(secret == {"file": f"./secrets/{name}"} for name, secret in COMPOSE["secrets"].items())


@pytest.mark.parametrize("name", ["api", *WORKERS])
def test_what_starts_as_root_becomes_the_user_of_the_image(name: str) -> None:
    service = SERVICES[name]
    assert (service["user"], service["cap_add"]) == ("0:0", ["SETUID", "SETGID", "KILL"])
    assert f"USER {service['environment']['ESPALIER_RUN_AS']}" in DOCKERFILE


@pytest.mark.parametrize("name", WORKERS)
def test_trainers_are_a_user_of_their_own(name: str) -> None:
    user = SERVICES[name]["environment"]["ESPALIER_TRAINER_USER"]
    assert user != SERVICES[name]["environment"]["ESPALIER_RUN_AS"]
    assert "useradd --uid {} --gid {}".format(*user.split(":")) in DOCKERFILE
    assert re.search(r"--owner trainer .*/cache", DOCKERFILE)
    assert "ESPALIER_TRAINER_USER" not in SERVICES["api"]["environment"]


def test_credentials_of_the_storage_are_a_file() -> None:
    for name in ("api", *WORKERS):
        given = SERVICES[name]["environment"]
        assert given["AWS_SHARED_CREDENTIALS_FILE"] == "/run/secrets/storage_credentials"
        assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(given)
        assert "storage_credentials" in SERVICES[name]["secrets"]


def test_packages_are_installed_by_digest() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", DOCKERFILE)
    assert all("--require-hashes" in one or "requirements-torch.lock" in one or one.startswith("--no-deps .") for one in installs)
    lock = (ROOT / "requirements.lock").read_text()
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\w)", lock.partition("\nalembic")[2]))
    assert "://" not in lock + (ROOT / "requirements-torch.lock").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service.get("cpus") or service["cpu_shares"] < 1024


def test_every_setting_exists() -> None:
    names = {name for service in SERVICES.values() for name in service.get("environment", {})}
    names |= set(re.findall(r"(ESPALIER_\w+)=", DOCKERFILE))
    known = {f"ESPALIER_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name.startswith("ESPALIER_")} <= known


def test_targets_and_copied_folders_exist() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} == {"api", "worker"}
    assert {"api", "worker"} <= targets
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in kept)
