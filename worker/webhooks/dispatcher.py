"""Webhook dispatcher: sends the due messages of the outbox from a background thread.

Started by ``worker.app`` in every worker; any number may run at once. A receiver that is slow, wrong or gone delays its own
messages only: jobs do not wait for it, and one batch takes one message per receiver.
"""

import logging
import random
from concurrent.futures import ThreadPoolExecutor

from service.db.models import Delivery
from service.errors import DestinationRefusedError, SecretsUnavailableError
from service.webhooks import outbox, subscriptions
from service.webhooks.outbox import DeliveryResult
from service.webhooks.ssrf import UrlPolicy, resolve_checked
from worker.context import Context
from worker.periodic import PeriodicThread
from worker.webhooks.delivery import send, signed_headers

_BATCH = 8
_MARGIN_SECONDS = 60.0
"""What a claim allows beyond the receiver's time: resolving its name, recording the result."""
_TICKS_BETWEEN_DELETIONS = 1000
"""Ticks between two deletions of messages that ended long ago."""
_JITTER = 0.1
log = logging.getLogger(__name__)


class WebhookDispatcher:
    """A tick every ``webhook_poll_seconds``, and without a pause while messages are due."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._policy = UrlPolicy(
            allow_private=context.settings.webhook_allow_private, allow_http=context.settings.webhook_allow_http
        )
        self._ticks = 0
        self._thread = PeriodicThread(
            "webhook dispatcher", self._run_once, retry_seconds=context.settings.webhook_poll_seconds
        )

    def start(self) -> None:
        """The first tick comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch that is being sent; the rest is sent by another worker or after the next start."""
        self._thread.stop(self._context.settings.webhook_timeout_seconds)

    def _run_once(self) -> float:
        self._ticks += 1
        sent = self.tick()
        if self._ticks % _TICKS_BETWEEN_DELETIONS == 1:
            with self._context.database.write() as session:
                outbox.delete_old(session)
        return 0.0 if sent else self._context.settings.webhook_poll_seconds

    def tick(self) -> int:
        """Send one batch of due messages; how many that were."""
        database, settings = self._context.database, self._context.settings
        with database.read() as session:
            if not outbox.any_due(session):
                return 0
        with database.write() as session:
            claimed = outbox.claim(
                session, limit=_BATCH, lease_seconds=settings.webhook_timeout_seconds + _MARGIN_SECONDS
            )  # fmt: skip
        with ThreadPoolExecutor(_BATCH, thread_name_prefix="webhook") as pool:
            for delivery, result in zip(claimed, pool.map(self._deliver, claimed), strict=True):
                self._record(delivery, result)
        return len(claimed)

    def _deliver(self, delivery: Delivery) -> DeliveryResult:
        """Send one message. Never raises: an error with one message must not stop the others."""
        settings = self._context.settings
        try:
            with self._context.database.read() as session:
                webhook = subscriptions.get(session, delivery.webhook_id)
                secrets = subscriptions.signing_secrets(session, settings, webhook)
            destination = resolve_checked(webhook.url, self._policy)
            attempted_at = delivery.last_attempt_at
            assert attempted_at is not None  # noqa: S101 - the claim wrote it
            headers = signed_headers(secrets, delivery.id, int(attempted_at.timestamp()), delivery.body)
            return send(destination, headers, delivery.body, timeout=settings.webhook_timeout_seconds)
        except (DestinationRefusedError, SecretsUnavailableError) as error:
            return DeliveryResult(error=str(error)[:200])
        except Exception as error:
            log.exception("message %s could not be sent", delivery.id)
            return DeliveryResult(error=type(error).__name__)

    def _record(self, delivery: Delivery, result: DeliveryResult) -> None:
        with self._context.database.write() as session:
            outbox.record_result(
                session, delivery, result, max_attempts=self._context.settings.webhook_max_attempts,
                jitter=1 + random.uniform(-_JITTER, _JITTER),  # noqa: S311 - no secret
            )  # fmt: skip
            if result.gone:
                subscriptions.disable(session, delivery.webhook_id, "gone")
        if result.error is not None:
            log.warning("message %s, attempt %d: %s", delivery.id, delivery.attempts, result.error)
