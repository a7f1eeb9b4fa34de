"""Settings of the service, read from ``ESPALIER_*`` environment variables; the settings table in ``docs/`` is generated from them.

``Settings()`` is built once where a process starts; everything else takes it, or a value of it, as an argument."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from service.log_settings import LogSettings
from service.place_settings import PlaceSettings
from service.setting_values import names_of, port_or_default
from service.urls import is_loopback

_KIB, _DEFAULT_PORT = 1024, 8000


class Settings(LogSettings, PlaceSettings):
    """Seconds, bytes and paths unless a description says otherwise. Raises pydantic.ValidationError naming the field."""

    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(_DEFAULT_PORT, ge=0, le=65535, description="Port the API listens on; 0 takes a free one")
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Path under which a proxy serves the API, such as /espalier; added to Location headers and URLs in responses",
    )
    max_body_bytes: int = Field(1024 * _KIB, ge=1 * _KIB, description="Largest request body that is read, in bytes")
    max_dataset_bytes: int = Field(
        64 * 1024 * _KIB, ge=1 * _KIB, description="Largest data set that can be uploaded, all splits together, unpacked"
    )
    max_model_bytes: int = Field(
        8 * 1024 * 1024 * _KIB, ge=1 * _KIB, description="Largest model that can be uploaded, all its files together, unpacked"
    )
    max_mask_bytes: int = Field(256 * 1024 * _KIB, ge=1 * _KIB, description="Largest mask file that can be uploaded, in bytes")
    model_upload_seconds: int = Field(3600, ge=1, description="Longest that an uploaded model may take to arrive, in seconds")
    upload_seconds: int = Field(
        600,
        ge=1,
        description="Longest that an uploaded data set or mask may take to arrive, and a data set again to be read, in seconds",
    )
    upload_memory_bytes: int = Field(
        1024 * 1024 * _KIB, ge=128 * 1024 * _KIB, description="Memory of the process that reads an uploaded data set, in bytes"
    )
    max_wait_seconds: float = Field(
        60, ge=0, description="Longest that a request waits for its job with Prefer: wait; less than what proxies allow"
    )
    max_waits: int = Field(
        256, ge=1, description="Requests with Prefer: wait that one API process keeps waiting; further ones do not wait"
    )
    max_waits_per_owner: int = Field(64, ge=1, description="Limit for one owner, where keys are required")
    max_streams: int = Field(
        256, ge=1, description="Event streams that one API process keeps open; each queries the database twice a second"
    )
    max_streams_per_owner: int = Field(64, ge=1, description="Limit for one owner, where keys are required")
    idempotency_seconds: float = Field(
        86_400, gt=0, description="How long the response to an Idempotency-Key is kept and returned again"
    )

    require_keys: bool | None = Field(
        None, description="Whether requests need an API key; default: unless the host is a loopback address"
    )
    metrics_open: bool = Field(
        False, description="Whether /metrics is answered without a key where keys are required; else it needs scope admin"
    )
    requests_per_minute: int | None = Field(
        600,
        ge=1,
        description="Requests that one API key may make per minute, of all API processes together where Redis is the broker",
    )
    max_queued_jobs_per_owner: int | None = Field(
        1000, ge=1, description="Jobs of one owner that may be queued or paused at a time, where keys are required"
    )
    max_sweep_jobs: int = Field(100, ge=1, le=1000, description="Largest number of jobs that one sweep may have")

    webhook_allow_private: bool = Field(
        False, description="Whether webhooks may use private, loopback and other addresses that are not public"
    )
    webhook_allow_http: bool = Field(False, description="Whether webhooks may use http:// and not only https://")
    webhook_max_per_owner: int = Field(20, ge=1, description="Webhooks for all jobs that one owner may have")
    webhook_max_attempts: int = Field(
        10, ge=1, description="How often a message is sent before it is given up; ten take three days"
    )
    webhook_timeout_seconds: float = Field(20, gt=0, le=120, description="Time limit for a receiver's response to a message")
    webhook_max_per_minute: int = Field(60, ge=1, description="Messages of one owner that each worker sends to one host per minute")
    webhook_poll_seconds: float = Field(2, gt=0, description="How often each worker looks for messages to send")

    predictions_enabled: bool | None = Field(
        None,
        description="Whether finished jobs can be tried over HTTP; needs the train extra and the models where the API runs; "
        "default: where the database is SQLite",
    )
    predictions_max_texts: int = Field(64, ge=1, le=10_000, description="Texts or pairs that one request may have")
    predictions_max_characters: int = Field(100_000, ge=1, description="Characters that all texts of a request may have")
    predictions_seconds: float = Field(
        50, gt=0, description="Time for one prediction request, in which the model may have to be loaded"
    )
    predictions_waiting: int = Field(
        8, ge=1, description="Prediction requests of one API process that may wait in turn; of one owner half, with keys"
    )
    predictions_masks: int = Field(8, ge=1, description="Masks that are kept ready, one bit per weight each")
    predictions_idle_seconds: float = Field(
        600, gt=0, description="The process that predicts ends, and frees its memory, after this time without a request"
    )
    predictions_memory_bytes: int = Field(
        8 * 1024 * 1024 * _KIB, ge=256 * 1024 * _KIB, description="Most private memory of the process that predicts, in bytes"
    )

    worker_slots: int = Field(1, ge=1, le=256, description="Jobs that one worker runs at the same time")
    worker_devices: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Devices that one worker gives to its jobs; more than it has GPUs makes jobs share these; default its "
        "GPUs, or its slots where these are more",
    )
    trainer_threads: int | None = Field(None, ge=1, description="CPU threads of each trainer; default cores / slots")
    trainer_nice: int = Field(
        5, ge=0, le=19, description="Nice value of trainers, so that API and worker take precedence on shared cores"
    )
    trainer_variables: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names of further environment variables of the worker that its trainers get, with commas between; else "
        "they get a fixed list: paths, locale, proxies, caches, CUDA",
    )
    model_cache_bytes: int = Field(
        64 * 1024 * 1024 * _KIB,
        ge=0,
        description="Most that a worker keeps of uploaded models, in models/ of the data folder, and that an API process keeps in "
        "its temporary folder to predict; those that running jobs read stay, of the others those used last",
    )
    token_cache_bytes: int = Field(
        1024 * 1024 * _KIB,
        ge=0,
        description="Most that is kept of tokenized rows, in tokens/ of the data folder, for later jobs on the same data set; "
        "0 keeps none",
    )
    worker_metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port that a worker's metrics are read from by Prometheus, without keys; 0 takes a free one; default none",
    )
    worker_metrics_host: str = Field("127.0.0.1", description="Address of that port")
    worker_seen_seconds: float = Field(30, gt=0, description="A worker silent for longer counts as gone")

    lease_seconds: float = Field(
        60, gt=0, description="Lease of a running job: without a renewal for this long it is taken from its worker"
    )
    heartbeat_seconds: float = Field(5, gt=0, description="How often a worker renews the lease; under a third of it")
    rescue_seconds: float = Field(10, gt=0, description="How often each worker looks for lost jobs and lost wake-ups")
    max_attempts: int = Field(3, ge=1, description="Runs lost or failed for outside reasons before a job is given up")
    retry_delay_seconds: float = Field(15, ge=0, description="Wait before the second run; doubles with each further one")
    term_grace_seconds: float = Field(30, ge=0, description="Time for a trainer to write a checkpoint and exit before KILL")
    stall_seconds: float = Field(900, gt=0, description="A trainer without output for this long is ended as hung")
    max_duration_seconds: float | None = Field(None, gt=0, description="Longest run of a job without a limit of its own")

    log_tail_bytes: int = Field(64 * _KIB, ge=0, description="How much of the trainer's error output is kept, in bytes")
    chunk_bytes: int = Field(
        256 * _KIB, ge=4 * _KIB, le=16 * 1024 * _KIB, description="Size of the pieces artifacts are stored in, in bytes"
    )

    max_stored_bytes: int | None = Field(
        None, ge=1, description="Bytes of artifacts, data sets, records and checkpoints; beyond them jobs are refused or fail"
    )
    max_stored_bytes_per_owner: int | None = Field(None, ge=1, description="Limit for one owner")
    paused_days: float = Field(14, gt=0, description="Days after which a paused job is cancelled, its checkpoints with it")
    artifact_retention_days: float | None = Field(
        None, gt=0, description="Days after its end that a job loses its artifacts except for the mask; default never"
    )
    job_retention_days: float | None = Field(
        None, gt=0, description="Days after its end that a job is deleted with all its files; default never"
    )

    @field_validator("port", mode="before")
    @classmethod
    def _no_service_link(cls, port: object) -> object:
        return port_or_default(port, _DEFAULT_PORT)

    @field_validator("trainer_variables", mode="before")
    @classmethod
    def _names(cls, names: object) -> object:
        return names_of(names)

    @property
    def predicts(self) -> bool:
        """``predictions_enabled`` once it is decided."""
        embedded = self.database_url.startswith("sqlite")
        return embedded if self.predictions_enabled is None else self.predictions_enabled

    @property
    def keys_required(self) -> bool:
        """``require_keys`` once it is decided."""
        return not is_loopback(self.host) if self.require_keys is None else self.require_keys

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.heartbeat_seconds < self.lease_seconds / 3:
            raise ValueError("heartbeat_seconds must be under a third of lease_seconds: two beats may be lost")
        return self
