"""Every setting of the service, read from ``ESPALIER_*`` environment variables; the table in ``docs/`` is made from here.

``Settings()`` is built once where a process starts; everything else takes it, or a value of it, as an argument.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_KIB = 1024
_POSTGRES = ("postgres://", "postgresql://", "postgresql+psycopg://")


def with_driver(url: str) -> str:
    """``url`` naming the driver that ships with the service. Raises ValueError for a database that is not supported."""
    for prefix in _POSTGRES:
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    for prefix in ("sqlite:///", "sqlite+pysqlite:///"):
        path = url.removeprefix(prefix)
        if url.startswith(prefix) and path and not path.startswith(":memory:"):
            return "sqlite:///" + path
    raise ValueError("must be postgresql://… or sqlite:///<file> (several processes share it, so not in memory)")


class Settings(BaseSettings):
    """Seconds, bytes and paths unless a description says otherwise. Raises pydantic.ValidationError naming the field."""

    model_config = SettingsConfigDict(env_prefix="ESPALIER_", env_ignore_empty=True, extra="ignore", frozen=True)

    data_dir: Path = Field(
        Path("espalier-data"),
        validate_default=True,
        description="Folder of the embedded database, the embedded broker and the work folders",
    )
    database_url: str = Field(
        default_factory=lambda given: f"sqlite:///{given['data_dir']}/espalier.db",
        repr=False,  # holds a password
        description="postgresql://user:password@host/name or sqlite:///file; default espalier.db in the data folder",
    )
    broker_url: str = Field(
        "filesystem://", repr=False, description="redis://[:password@]host:port/0, or filesystem:// in the data folder"
    )
    models_dir: Path | None = Field(None, description="Folder of local models, one Hugging Face folder per name")
    datasets_dir: Path | None = Field(
        None, description="Folder of local data sets, <task>/{train,validation}.jsonl[.gz]"
    )
    checkpoint_dir: Path | None = Field(
        None,
        description="Folder that all workers share, so that another host resumes a job; default in the data folder",
    )
    hub_enabled: bool = Field(True, description="Whether models and data sets may be fetched from the hub")

    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on; 0 takes a free one")
    max_body_bytes: int = Field(1024 * _KIB, ge=1 * _KIB, description="Largest request body that is read, in bytes")

    worker_slots: int = Field(1, ge=1, le=256, description="Jobs that one worker runs at the same time")
    trainer_threads: int | None = Field(None, ge=1, description="CPU threads of each trainer; default cores / slots")
    worker_seen_seconds: float = Field(30, gt=0, description="A worker silent for longer counts as gone")

    lease_seconds: float = Field(
        60, gt=0, description="A running job unheard of for this long is taken from its worker"
    )
    heartbeat_seconds: float = Field(5, gt=0, description="How often a worker renews the lease; under a third of it")
    rescue_seconds: float = Field(10, gt=0, description="How often each worker looks for lost jobs and lost wake-ups")
    max_attempts: int = Field(3, ge=1, description="Runs lost or failed for outside reasons before a job is given up")
    retry_delay_seconds: float = Field(
        15, ge=0, description="Wait before the second run; doubles with each further one"
    )
    term_grace_seconds: float = Field(30, ge=0, description="Time a trainer gets to checkpoint and leave before KILL")
    stall_seconds: float = Field(900, gt=0, description="A trainer that reports nothing for this long is ended as hung")
    max_duration_seconds: float | None = Field(
        None, gt=0, description="Longest run of a job that names no limit itself"
    )

    log_tail_bytes: int = Field(64 * _KIB, ge=0, description="How much of the trainer's error output is kept, in bytes")
    chunk_bytes: int = Field(
        256 * _KIB, ge=4 * _KIB, le=16 * 1024 * _KIB, description="Size of the pieces artifacts are stored in, in bytes"
    )

    @field_validator("data_dir", "models_dir", "datasets_dir", "checkpoint_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Trainers and workers run in other folders than the one the path was written for."""
        return path.expanduser().absolute() if path is not None else None

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: str) -> str:
        return with_driver(url)

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, url: str) -> str:
        if url == "filesystem://" or url.startswith(("redis://", "rediss://")):
            return url
        raise ValueError("must be filesystem:// or redis://… (rediss://… with TLS)")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.heartbeat_seconds < self.lease_seconds / 3:
            raise ValueError("heartbeat_seconds must be under a third of lease_seconds: two beats may be lost")
        return self
