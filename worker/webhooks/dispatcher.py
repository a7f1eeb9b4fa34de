"""The thread in every worker that sends what the outbox of webhooks holds. Started by ``app.py``.

Any number may run at once. A receiver that is slow, wrong or gone costs its own messages time and nothing else: no job
waits for it, and of one receiver a round takes one message.
"""

import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.db.models import Delivery
from service.errors import DestinationRefusedError, SecretsUnavailableError
from service.webhooks import outbox, subscriptions
from service.webhooks.outbox import DeliveryResult
from service.webhooks.ssrf import UrlPolicy, resolve_checked
from worker.context import Context
from worker.run.lease import UNREACHABLE
from worker.webhooks.delivery import send, signed_headers

_AT_ONCE = 8
_MARGIN_SECONDS = 60.0
"""What a claim allows beyond the receiver's time: looking up its name, writing down the outcome."""
_FORGET_EVERY = 1000
"""Rounds between two looks for messages that ended long ago."""
_JITTER = 0.1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """A claimed delivery with what sending it takes."""

    delivery: Delivery
    url: str
    secrets: list[str]


class WebhookDispatcher:
    """Does its round every ``webhook_poll_seconds`` until it is told to end, and at once again while there is more."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rules = UrlPolicy(
            allow_private=context.settings.webhook_allow_private, allow_http=context.settings.webhook_allow_http
        )  # fmt: skip
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)

    def start(self) -> None:
        """The first round is done at once."""
        self._thread.start()

    def end(self) -> None:
        """Stop after what is being sent; what is left is sent by another worker or after the next start."""
        self._over.set()
        self._thread.join(self._context.settings.webhook_timeout_seconds)

    def _run(self) -> None:
        rounds, pause = 0, 0.0
        while not self._over.wait(pause):
            pause = self._context.settings.webhook_poll_seconds
            try:
                if self.tick():
                    pause = 0.0
                if rounds % _FORGET_EVERY == 0:
                    with self._context.database.write() as session:
                        outbox.delete_old(session)
            except UNREACHABLE as error:
                log.warning("the database is away: %s", error)
            except Exception:
                log.exception("a round of the messenger failed; the next one is due in %.0f s", pause)
            rounds += 1

    def tick(self) -> int:
        """Send what is due; how many messages that were."""
        database, settings = self._context.database, self._context.settings
        with database.read() as session:
            if not outbox.any_due(session):
                return 0
        with database.write() as session:
            claimed = outbox.claim(
                session, limit=_AT_ONCE, lease_seconds=settings.webhook_timeout_seconds + _MARGIN_SECONDS
            )  # fmt: skip
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="message") as pool:
            for delivery, outcome in zip(claimed, pool.map(self._attempt, claimed), strict=True):
                self._settle(delivery, outcome)
        return len(claimed)

    def _attempt(self, delivery: Delivery) -> DeliveryResult:
        """Never raises: what goes wrong with one message concerns no other."""
        settings = self._context.settings
        try:
            with self._context.database.read() as session:
                webhook = subscriptions.get(session, delivery.webhook_id)
                secrets = subscriptions.signing_secrets(session, settings, webhook)
            destination = resolve_checked(webhook.url, self._rules)
            moment = delivery.last_attempt_at
            assert moment is not None  # noqa: S101 - the claim wrote it
            headers = signed_headers(secrets, delivery.id, int(moment.timestamp()), delivery.body)
            return send(destination, headers, delivery.body, timeout=settings.webhook_timeout_seconds)
        except (DestinationRefusedError, SecretsUnavailableError) as error:
            return DeliveryResult(error=str(error)[:200])
        except Exception as error:
            log.exception("message %s could not be sent", delivery.id)
            return DeliveryResult(error=type(error).__name__)

    def _settle(self, delivery: Delivery, outcome: DeliveryResult) -> None:
        with self._context.database.write() as session:
            outbox.record_result(
                session, delivery, outcome, max_attempts=self._context.settings.webhook_max_attempts,
                jitter=1 + random.uniform(-_JITTER, _JITTER),  # noqa: S311 - no secret
            )  # fmt: skip
            if outcome.gone:
                subscriptions.disable(session, delivery.webhook_id, "gone")
        if outcome.error is not None:
            log.warning("message %s, attempt %d: %s", delivery.id, delivery.attempts, outcome.error)
