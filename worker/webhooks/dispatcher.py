"""Webhook dispatcher: sends the due messages of the outbox from a background thread.

Started by ``worker.app`` in every worker; any number may run at once. A receiver that is slow, faulty or unreachable delays
messages of its owner only: jobs do not wait for it, and each owner and each host has a share of what is in flight (``shares``).
"""

import contextvars
import logging
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from structlog.contextvars import bind_contextvars

from service.db.engine import DATABASE_UNAVAILABLE
from service.db.models import Delivery
from service.errors import DestinationRefusedError, SecretsUnavailableError
from service.tracing import spans
from service.tracing.interface import Attributes
from service.webhooks import outbox, subscriptions
from service.webhooks.outbox import Claim, DeliveryResult
from service.webhooks.ssrf import UrlPolicy, resolve_checked
from worker.context import Context
from worker.periodic import PeriodicThread
from worker.webhooks.delivery import send, signed_headers
from worker.webhooks.shares import Shares

_IN_FLIGHT, _PER_OWNER, _PER_HOST = 32, 4, 8
"""Messages that one worker sends at a time: of all, of one owner, to one host."""
_MARGIN_SECONDS = 60.0
"""Seconds of a claim beyond the receiver's time limit: resolving its name, recording the result."""
_TICKS_BETWEEN_DELETIONS = 1000
"""Ticks between two deletions of messages that ended long ago."""
_JITTER = 0.1
log = logging.getLogger(__name__)


class WebhookDispatcher:
    """Polls for due messages every ``webhook_poll_seconds``, and after each delivery."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._policy = UrlPolicy(
            allow_private=context.settings.webhook_allow_private, allow_http=context.settings.webhook_allow_http
        )
        self._shares = Shares(_IN_FLIGHT, _PER_OWNER, _PER_HOST, context.settings.webhook_max_per_minute)
        self._pool = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="webhook")
        self._busy: set[str] = set()
        """Webhooks with a message in flight."""
        self._freed = threading.Event()
        """Set when a message is no longer in flight, or at the end."""
        self._ticks = 0
        self._thread = PeriodicThread("webhook dispatcher", self._run_once, retry_seconds=context.settings.webhook_poll_seconds)

    def start(self) -> None:
        """The first tick comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the messages that are being sent; the rest is sent by another worker or after the next start."""
        self._freed.set()
        self._thread.stop(self._context.settings.webhook_timeout_seconds)
        self._pool.shutdown(cancel_futures=True)

    def _run_once(self) -> float:
        self._ticks += 1
        self._freed.clear()
        if not self._send_due():
            self._freed.wait(self._context.settings.webhook_poll_seconds)
        if self._ticks % _TICKS_BETWEEN_DELETIONS == 1:
            outbox.delete_old(self._context.database)
        return 0.0

    def tick(self) -> int:
        """Send due messages until their shares are used up, and wait for the results; how many that were."""
        sent = self._send_due()
        wait(sent)
        for future in sent:
            future.result()
        return len(sent)

    def _send_due(self) -> list[Future[None]]:
        """Begin to send as many of the due messages as may be in flight."""
        database, settings = self._context.database, self._context.settings
        if self._shares.free <= 0:
            return []
        with database.read() as session:
            if not outbox.any_due(session):
                return []
        accepted: list[tuple[str, str]] = []

        def accept(owner: str, url: str) -> bool:
            if self._shares.acquire(owner, url):
                accepted.append((owner, url))
                return True
            return False

        claimed: list[Claim] = []
        try:
            with database.write() as session:
                claimed = outbox.claim(
                    session,
                    limit=self._shares.free,
                    busy=tuple(self._busy),
                    accept=accept,
                    lease_seconds=settings.webhook_timeout_seconds + _MARGIN_SECONDS,
                )
        finally:
            for claim in claimed:
                accepted.remove((claim.owner, claim.url))
            for owner, url in accepted:  # another worker was faster, or the database is unreachable
                self._shares.release(owner, url)
        self._busy.update(claim.delivery.webhook_id for claim in claimed)
        return [self._pool.submit(_log_context(claim).run, self._send, claim) for claim in claimed]

    def _send(self, claim: Claim) -> None:
        """Send one message and record the result."""
        try:
            self._record(claim.delivery, self._deliver_traced(claim.delivery))
        except DATABASE_UNAVAILABLE as error:  # it is sent again when its claim has expired
            log.warning("message %s: the result could not be recorded: %s", claim.delivery.id, error)
        finally:
            self._busy.discard(claim.delivery.webhook_id)
            self._shares.release(claim.owner, claim.url)
            self._freed.set()

    def _deliver_traced(self, delivery: Delivery) -> DeliveryResult:
        """``_deliver``, measured and in a span, whose context the receiver gets; its URL, which may be a secret, is not in it."""
        about: Attributes = {
            "http.request.method": "POST",
            "espalier.job.id": delivery.job_id,
            "espalier.webhook.id": delivery.webhook_id,
            "espalier.message.id": delivery.id,
            "espalier.message.type": delivery.type,
            "espalier.message.attempt": delivery.attempts,
        }
        with spans.span("webhook.deliver", about, parent=delivery.trace_context, client=True) as span:
            began = time.perf_counter()
            result = self._deliver(delivery)
            self._context.metrics.delivered(self._outcome(delivery, result), time.perf_counter() - began)
            if result.status is not None:
                span.set({"http.response.status_code": result.status})
            if result.error is not None:
                span.fail(str(result.status or "no_response"))
        return result

    def _deliver(self, delivery: Delivery) -> DeliveryResult:
        """Send one message. Never raises: an error with one message must not stop the others."""
        settings = self._context.settings
        try:
            with self._context.database.read() as session:
                webhook = subscriptions.get(session, delivery.webhook_id)
                secrets = subscriptions.signing_secrets(session, settings, webhook)
            destination = resolve_checked(webhook.url, self._policy, webhook.owner)
            attempted_at = delivery.last_attempt_at
            assert attempted_at is not None  # noqa: S101 - the claim wrote it
            headers = signed_headers(secrets, delivery.id, int(attempted_at.timestamp()), delivery.body)
            headers |= spans.current_context() or {}
            return send(destination, headers, delivery.body, timeout=settings.webhook_timeout_seconds)
        except (DestinationRefusedError, SecretsUnavailableError) as error:
            return DeliveryResult(error=str(error)[:200])
        except Exception as error:
            log.exception("message %s could not be sent", delivery.id)
            return DeliveryResult(error=type(error).__name__)

    def _outcome(self, delivery: Delivery, result: DeliveryResult) -> str:
        """What comes of a message by this result, as the outbox decides it."""
        if result.error is None:
            return "delivered"
        if result.gone:
            return "gone"
        return "retried" if result.retry and delivery.attempts < self._context.settings.webhook_max_attempts else "given_up"

    def _record(self, delivery: Delivery, result: DeliveryResult) -> None:
        with self._context.database.write() as session:
            if result.gone:  # first the webhook, then its messages: the order in which a deletion locks them, too
                subscriptions.disable(session, delivery.webhook_id, "gone")
            outbox.record_result(
                session,
                delivery,
                result,
                max_attempts=self._context.settings.webhook_max_attempts,
                jitter=1 + random.uniform(-_JITTER, _JITTER),  # noqa: S311 - no secret
            )
        if result.error is not None:
            log.warning("message %s, attempt %d: %s", delivery.id, delivery.attempts, result.error)


def _log_context(claim: Claim) -> contextvars.Context:
    """A context in which log lines name the owner and the job of a message; test messages are about no job."""
    context = contextvars.copy_context()
    context.run(bind_contextvars, owner=claim.owner, job_id=claim.delivery.job_id or None)
    return context
