"""Location settings: database, broker, keys, folders, object storage, and the users that processes run as.

A part of ``service.settings``, which everything else imports.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.setting_values import read_files
from service.urls import collector_url, normalize_database_url, parse_storage_url, verified_broker_url

_KIB = 1024
_FROM_FILES = ("database_url", "broker_url")
_OTEL_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class PlaceSettings(BaseSettings):
    """Bytes and paths unless a description says otherwise."""

    model_config = SettingsConfigDict(env_prefix="ESPALIER_", env_ignore_empty=True, extra="ignore", frozen=True)

    data_dir: Path = Field(
        Path("espalier-data"),
        validate_default=True,
        description="Folder of the embedded database, the embedded broker and the work folders",
    )
    database_url: str = Field(
        default_factory=lambda given: f"sqlite:///{given['data_dir']}/espalier.db",
        repr=False,  # holds a password
        description="postgresql://user:password@host/name or sqlite:///file; default espalier.db in the data folder. Behind "
        "PgBouncer add ?pooler=transaction; libpq's own parameters may be given, too, and override ours",
    )
    broker_url: str = Field(
        "filesystem://",
        repr=False,
        description="redis://[:password@]host:port/0, or filesystem:// in the data folder. rediss:// is TLS with the certificate "
        "checked; parameters: ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_check_hostname, ssl_cert_reqs=none",
    )
    database_url_file: Path | None = Field(
        None, description="File that holds the database URL, for ESPALIER_DATABASE_URL; readable by the service alone"
    )
    broker_url_file: Path | None = Field(None, description="File that holds the broker URL, for ESPALIER_BROKER_URL")
    secret_key: SecretStr | None = Field(
        None, description="Key that stored secrets are encrypted with: 32 random bytes in base64; for API and workers alike"
    )
    secret_key_file: Path | None = Field(
        None, description="File that holds it; on SQLite default secret.key in the data folder, made when needed"
    )
    run_as: str | None = Field(
        None,
        pattern=r"^[0-9]+:[0-9]+$",
        description="user:group, as numbers, that API and worker become once root has read those files and the secret key's, "
        "which trainers of that user then cannot read",
    )
    trainer_user: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]*:[1-9][0-9]*$",
        description="user:group, as numbers, of trainers: another user than the worker, who has to be root or have the "
        "capabilities SETUID, SETGID and KILL. Such a trainer reads and writes its own work folder and the caches, no other file "
        "and no memory of the service",
    )
    models_dir: Path | None = Field(None, description="Folder of local models, one Hugging Face folder per name")
    datasets_dir: Path | None = Field(None, description="Folder of local data sets, <task>/{train,validation}.jsonl[.gz]")
    checkpoint_dir: Path | None = Field(
        None, description="Folder that all workers share, so that another host resumes a job; default in the data folder"
    )
    storage_url: str | None = Field(
        None,
        description="s3://bucket/prefix?endpoint=https://host&region=name: S3-compatible storage of artifacts and "
        "checkpoints; addressing=virtual where the store wants buckets as host names; default: artifacts in the database, "
        "checkpoints in their folder",
    )
    otlp_endpoint: str | None = Field(
        None,
        repr=False,  # some hosted collectors have a token in it
        description="http://host:4318: OpenTelemetry collector that gets the traces of API and workers, by OTLP over HTTP, with "
        "/v1/traces added; needs the otel extra. Headers, timeouts, sampling and the like as OTEL_… has them; default: no traces",
    )
    hub_enabled: bool = Field(True, description="Whether models and data sets may be fetched from the hub")
    hub_model_bytes: int = Field(
        32 * 1024 * 1024 * _KIB, gt=0, description="Largest model that is downloaded from the hub, all its files together"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, given: Any) -> Any:
        """Values from the files that hold them in place of the environment, which other processes may see."""
        return read_files(given, _FROM_FILES) if isinstance(given, dict) else given

    @field_validator("data_dir", "models_dir", "datasets_dir", "checkpoint_dir", "secret_key_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Trainers and workers run in other folders than the one the path was written for."""
        return path.expanduser().absolute() if path is not None else None

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: str) -> str:
        return normalize_database_url(url)

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, url: str) -> str:
        if url == "filesystem://":
            return url
        if url.startswith(("redis://", "rediss://")):
            return verified_broker_url(url)
        raise ValueError("must be filesystem:// or redis://… (rediss://… with TLS)")

    @field_validator("storage_url")
    @classmethod
    def _storage(cls, url: str | None) -> str | None:
        if url is not None and find_spec("boto3") is None:
            raise ValueError("needs boto3; install it with: pip install 'espalier-pruning[s3]'")
        return str(parse_storage_url(url)) if url is not None else None

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector(cls, url: str | None) -> str | None:
        if url is not None and not all(_is_installed(package) for package in _OTEL_PACKAGES):
            raise ValueError("needs OpenTelemetry; install it with: pip install 'espalier-pruning[otel]'")
        return collector_url(url) if url is not None else None

    @property
    def trainer_ids(self) -> tuple[int, int] | None:
        """``trainer_user`` as numbers of user and group."""
        if self.trainer_user is None:
            return None
        user, group = self.trainer_user.split(":")
        return int(user), int(group)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False
