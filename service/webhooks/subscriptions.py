"""Webhook subscriptions: receivers of a job's or an owner's events, their state and their signing secrets.

Called by the API, and by ``worker.webhooks.dispatcher`` for URL and secrets of a receiver; never commits. Messages are written by
``service.jobs.status_messages`` and delivered through ``service.webhooks.outbox``, at least once: they may arrive twice or out of
order, under the same id.
"""

import base64
import secrets as random
from collections.abc import Sequence

from sqlalchemy import delete as sql_delete
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.access import secrets
from service.db.clock import now_sql
from service.db.models import Webhook
from service.errors import WebhookNotFoundError
from service.settings import Settings

SECRET_PREFIX = "whsec_"  # noqa: S105 - Standard Webhooks' mark of a secret
_SECRET_BYTES = 32
ROTATION_SECONDS = 24 * 3600.0
"""How long the former secret still signs in addition to the new one."""
_SEALED_AS = "webhook"
"""The name under which ``service.access.secrets`` seals; the same for all webhooks, so that a copy of a webhook can be unsealed."""


def new_secret() -> str:
    """``whsec_`` and 256 random bits in base64."""
    return SECRET_PREFIX + base64.b64encode(random.token_bytes(_SECRET_BYTES)).decode()


def create(
    session: Session, settings: Settings, *, owner: str, url: str, events: Sequence[str], secret: str, job_id: str | None = None
) -> Webhook:
    """Add a webhook for all jobs of ``owner``, or for one. The caller has checked ``url`` (``service.webhooks.ssrf``).

    Raises SecretsUnavailableError.
    """
    sealed = secrets.seal(settings, owner, _SEALED_AS, secret)
    webhook = Webhook(owner=owner, url=url, events=[*events], job_id=job_id, secret=sealed)
    session.add(webhook)
    session.flush()
    return webhook


def get(session: Session, webhook_id: str, *, owner: str | None = None) -> Webhook:
    """The webhook. Raises WebhookNotFoundError."""
    webhook = session.get(Webhook, webhook_id, populate_existing=True)
    if webhook is None or owner not in (None, webhook.owner):
        raise WebhookNotFoundError(webhook_id)
    return webhook


def list_webhooks(session: Session, *, owner: str | None = None, job_id: str | None = None) -> Sequence[Webhook]:
    """The webhooks for all jobs, or those of one job, newest first."""
    statement = select(Webhook).order_by(Webhook.created_at.desc(), Webhook.id.desc())
    statement = statement.where(Webhook.job_id.is_(None) if job_id is None else Webhook.job_id == job_id)
    if owner is not None:
        statement = statement.where(Webhook.owner == owner)
    return session.scalars(statement).all()


def disable(session: Session, webhook_id: str, reason: str) -> None:
    """Stop deliveries to a webhook; pending messages wait. Idempotent."""
    enabled = (Webhook.id == webhook_id, Webhook.disabled_at.is_(None))
    session.execute(update(Webhook).where(*enabled).values(disabled_at=now_sql(), disabled_reason=reason))


def enable(session: Session, webhook_id: str) -> None:
    """Resume deliveries, pending messages included."""
    session.execute(update(Webhook).where(Webhook.id == webhook_id).values(disabled_at=None, disabled_reason=None))


def rotate(session: Session, settings: Settings, webhook: Webhook) -> str:
    """A new secret. The former one also signs for ``ROTATION_SECONDS``, so that receivers can change over."""
    secret = new_secret()
    webhook.former_secret, webhook.former_until = webhook.secret, now_sql(ROTATION_SECONDS)
    webhook.secret = secrets.seal(settings, webhook.owner, _SEALED_AS, secret)
    session.flush()
    return secret


def signing_secrets(session: Session, settings: Settings, webhook: Webhook) -> list[str]:
    """The secrets that sign its messages now, newest first. Raises SecretsUnavailableError."""
    still = select(Webhook.id).where(Webhook.id == webhook.id, Webhook.former_until > now_sql())
    sealed = [webhook.secret]
    if webhook.former_secret is not None and session.scalars(still).first() is not None:
        sealed.append(webhook.former_secret)
    return [secrets.unseal(settings, webhook.owner, _SEALED_AS, each) for each in sealed]


def delete(session: Session, webhook_id: str) -> None:
    """Delete a webhook with its messages."""
    session.execute(sql_delete(Webhook).where(Webhook.id == webhook_id))
