"""Request and response bodies of webhooks, built from rows while their session is open."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas.base import Page
from service.db import models
from service.db.models.webhook import URL_LENGTH
from service.jobs.status_messages import FINAL_EVENTS, EventType
from service.jobs.views import WebhookView
from service.webhooks.outbox import TEST
from service.webhooks.subscriptions import SECRET_PREFIX

_MIN_BYTES, _MAX_BYTES = 24, 64
"""Bytes of a secret, by Standard Webhooks."""


def _secret(text: str) -> str:
    try:
        size = len(base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True))
    except binascii.Error:
        size = 0
    if not text.startswith(SECRET_PREFIX) or not _MIN_BYTES <= size <= _MAX_BYTES:
        raise PydanticCustomError(
            "webhook_secret",
            "a secret is whsec_ and {least} to {most} random bytes in base64",
            {"least": _MIN_BYTES, "most": _MAX_BYTES},
        )
    return text


def _distinct(events: list[EventType]) -> list[EventType]:
    return [*dict.fromkeys(events)]


Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_LENGTH)]
Secret = Annotated[str, StringConstraints(max_length=120), AfterValidator(_secret)]


class WebhookRequest(BaseModel):
    """URL and events of a webhook."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://example.com/espalier", "events": ["job.succeeded", "job.failed"]}]},
    )

    url: Url = Field(description="https URL of a public address; checked now and at every call")
    events: Annotated[list[EventType], Field(min_length=1, max_length=20), AfterValidator(_distinct)] = Field(
        default_factory=lambda: [*FINAL_EVENTS], description="Default: the ends of jobs"
    )
    secret: Secret | None = Field(
        None,
        repr=False,
        description="Secret that signs the messages; default a new one, which is shown once, in the response",
        json_schema_extra={"writeOnly": True},
    )


class JobWebhookRequest(WebhookRequest):
    """URL and events of a webhook for one job. The secret is yours and never shown, because a response may be repeated."""

    secret: Secret = Field(
        repr=False,
        description="Secret that signs the messages: `whsec_` and 24 to 64 random bytes in base64",
        json_schema_extra={"writeOnly": True},
    )


class Webhook(BaseModel):
    """A receiver of messages."""

    id: str = Field(examples=["whk_01jd3xk5m8v6q2zr9w4t7y1n0b"])
    url: str
    events: list[EventType]
    job_id: str | None = Field(description="The only job whose events it gets; null: all jobs of its owner")
    enabled: bool
    disabled_reason: Literal["requested", "gone"] | None = Field(
        description="gone: the receiver answered 410. Due messages wait until it is enabled"
    )
    secret: str | None = Field(None, description="`whsec_…`: shown once, in the response that created it, unless you provided it")
    created_at: datetime

    @classmethod
    def from_row(cls, row: models.Webhook | WebhookView, secret: str | None = None) -> Self:
        return cls(
            id=row.id,
            url=row.url,
            events=row.events,
            job_id=row.job_id,
            enabled=row.disabled_at is None,
            disabled_reason=row.disabled_reason,
            secret=secret,
            created_at=row.created_at,
        )


class Delivery(BaseModel):
    """A message and its delivery state."""

    id: str = Field(description="The `webhook-id` of every attempt", examples=["msg_01jd3xk5m8v6q2zr9w4t7y1n0b"])
    type: EventType | Literal["webhook.test"]
    job_id: str | None = Field(description="null for a test message")
    status: Literal["pending", "delivered", "failed"] = Field(description="failed: given up")
    attempts: int = Field(description="Attempts begun")
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None = Field(description="HTTP status of the last response; null: there was none")
    last_error: str | None
    delivered_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: models.Delivery) -> Self:
        ended: Literal["delivered", "failed"] = "delivered" if row.delivered_at is not None else "failed"
        return cls(
            id=row.id,
            type="webhook.test" if row.type == TEST else EventType(row.type),
            job_id=row.job_id or None,
            status="pending" if row.due_at is not None else ended,
            attempts=row.attempts,
            next_attempt_at=row.due_at,
            last_attempt_at=row.last_attempt_at,
            last_status=row.last_status,
            last_error=row.last_error,
            delivered_at=row.delivered_at,
            created_at=row.created_at,
        )


class WebhookList(Page[Webhook]):
    """All webhooks, newest first."""


class DeliveryList(Page[Delivery]):
    """The latest messages of a webhook, newest first."""
