"""Settings: read from the environment alone, checked together, described for the documentation."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_the_defaults_live_under_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.data_dir == tmp_path / "espalier-data"
    assert settings.database_url == f"sqlite:///{tmp_path}/espalier-data/espalier.db"
    assert settings.broker_url == "filesystem://"


def test_every_setting_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPALIER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ESPALIER_DATABASE_URL", "postgresql://u:p@h/d")
    monkeypatch.setenv("ESPALIER_WORKER_SLOTS", "3")
    monkeypatch.setenv("ESPALIER_MODELS_DIR", "")
    monkeypatch.setenv("ESPALIER_OF_A_LATER_VERSION", "x")
    settings = Settings()
    assert (settings.data_dir, settings.worker_slots, settings.models_dir) == (tmp_path, 3, None)
    assert settings.database_url == "postgresql+psycopg://u:p@h/d"
    assert "u:p" not in repr(settings)


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "postgresql+asyncpg://h"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"database_url\n.*postgresql"):
        Settings(database_url=url)


@pytest.mark.parametrize("url", ["amqp://h", "memory://", "filesystem:///elsewhere"])
def test_other_brokers_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"broker_url\n.*filesystem://"):
        Settings(broker_url=url)


def test_a_lease_outlives_two_lost_heartbeats() -> None:
    Settings(lease_seconds=60, heartbeat_seconds=19)
    with pytest.raises(ValidationError, match=r"heartbeat_seconds .*lease_seconds"):
        Settings(lease_seconds=60, heartbeat_seconds=20)


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_storage_url_is_kept_in_one_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_STORAGE_URL", "s3://b/p/?region=")
    assert Settings().storage_url == "s3://b/p"
    monkeypatch.setattr("service.place_settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"storage_url[\s\S]*espalier-pruning\[s3\]"):
        Settings()


def test_the_collector_of_traces_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("https://collector:4318", "https://collector:4318/", "https://collector:4318/v1/traces"):
        assert Settings(otlp_endpoint=given).otlp_endpoint == "https://collector:4318"
    assert "collector" not in repr(Settings(otlp_endpoint="https://collector/token"))
    for wrong in ("collector:4318", "grpc://collector:4317", "http://", "http://u:p@collector", "http://collector?key=1"):
        with pytest.raises(ValidationError, match="otlp_endpoint"):
            Settings(otlp_endpoint=wrong)
    monkeypatch.setattr("service.place_settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"otlp_endpoint[\s\S]*espalier-pruning\[otel\]"):
        Settings(otlp_endpoint="http://collector:4318")


def test_urls_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, url in {"database_url": "postgresql://u:p@h/d\n", "broker_url": "redis://:p@h:6379/0\n"}.items():
        (tmp_path / name).write_text(url)
        monkeypatch.setenv(f"ESPALIER_{name.upper()}_FILE", str(tmp_path / name))
    settings = Settings()
    assert (settings.database_url, settings.broker_url) == ("postgresql+psycopg://u:p@h/d", "redis://:p@h:6379/0")
    assert "u:p" not in repr(settings)
    monkeypatch.setenv("ESPALIER_BROKER_URL", "redis://elsewhere")
    with pytest.raises(ValidationError, match=r"broker_url .*broker_url_file"):
        Settings()
    monkeypatch.delenv("ESPALIER_BROKER_URL")
    (tmp_path / "broker_url").unlink()
    with pytest.raises(ValidationError, match=r"broker_url_file .*No such file"):
        Settings()
