"""Webhooks on their way in: may they lead there, and who signs? Called by the routes of webhooks, jobs and sweeps."""

from sqlalchemy.orm import Session

from api.schemas.webhooks import WebhookRequest
from pruning.errors import PermanentError
from service.db import models
from service.errors import DestinationRefusedError
from service.settings import Settings
from service.webhooks import subscriptions
from service.webhooks.ssrf import UrlPolicy, resolve_checked


def check_webhook(request: WebhookRequest, settings: Settings, *, param: str) -> None:
    """Refuse a receiver that no message could be sent to. Looks its host up. Raises PermanentError naming ``param``."""
    try:
        resolve_checked(
            request.url, UrlPolicy(allow_private=settings.webhook_allow_private, allow_http=settings.webhook_allow_http)
        )
    except DestinationRefusedError as refusal:
        raise PermanentError(str(refusal), code="webhook_refused", param=param) from refusal


def store_webhook(
    session: Session, settings: Settings, request: WebhookRequest, *, owner: str, job_id: str | None = None
) -> tuple[models.Webhook, str | None]:
    """Store a receiver that was checked; with it its secret, if that is new and must be shown now or never."""
    made = None if request.secret else subscriptions.new_secret()
    row = subscriptions.create(
        session, settings, owner=owner, url=request.url, events=request.events, secret=request.secret or made or "",
        job_id=job_id,
    )  # fmt: skip
    return row, made
