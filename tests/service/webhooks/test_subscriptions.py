"""Webhook messages on both databases: written with each transition, delivered at least once."""

import base64
import json
import threading

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.exc import SQLAlchemyError

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Delivery, Job, Webhook
from service.errors import LeaseLostError, SecretsUnavailableError, ServiceError, WebhookNotFoundError
from service.jobs import claims, commands
from service.jobs.fence import Fence
from service.jobs.status_messages import FINAL_EVENTS, EventType
from service.settings import Settings
from service.states import Status
from service.webhooks import outbox, subscriptions
from service.webhooks.outbox import SCHEDULE_SECONDS, DeliveryResult
from tests.service import factories

ALL = tuple(EventType)
URL = "https://example.com/hook"
FAILED = DeliveryResult(500, "the receiver answered 500")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a key for secrets, which is not created on PostgreSQL."""
    key = base64.b64encode(bytes(range(32))).decode()
    return settings.model_copy(update={"secret_key": SecretStr(key)})


def register(
    database: Database, settings: Settings, events: tuple[EventType, ...] = ALL, owner: str = "local", job_id: str | None = None
) -> str:
    with database.write() as session:
        row = subscriptions.create(
            session, settings, owner=owner, url=URL, events=events, secret=subscriptions.new_secret(), job_id=job_id
        )
        return row.id


def message_types(database: Database, webhook_id: str) -> list[str]:
    with database.read() as session:
        rows = session.scalars(select(Delivery).where(Delivery.webhook_id == webhook_id).order_by(Delivery.created_at, Delivery.id))
        return [row.type for row in rows]


def claim(database: Database, limit: int = 8) -> list[Delivery]:
    with database.write() as session:
        return [claimed.delivery for claimed in outbox.claim(session, limit=limit, lease_seconds=60)]


def make_due(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Delivery).where(Delivery.due_at.is_not(None)).values(due_at=now_sql(-1)))


def test_each_transition_is_sent_to_its_subscribers(database: Database, settings: Settings) -> None:
    everything, ends = register(database, settings), register(database, settings, FINAL_EVENTS)
    other = register(database, settings, owner="another")
    job = factories.running(database, metadata={"team": "nlp"})
    own = register(database, settings, FINAL_EVENTS, job_id=job.id)
    with database.write() as session:
        commands.request_pause(session, job.id)
        claims.pause(session, Fence.from_row(job))
        commands.resume(session, job.id)
    again = factories.claim(database)
    assert again is not None
    with database.write() as session:
        claims.fail(session, Fence(job.id, again.attempt), error=factories.LOST)
    assert sorted(message_types(database, everything)) == ["job.failed", "job.paused", "job.started", "job.started"]
    assert message_types(database, ends) == message_types(database, own) == ["job.failed"]
    assert message_types(database, other) == []
    with database.read() as session:
        body = json.loads(session.scalars(select(Delivery.body).where(Delivery.webhook_id == own)).one())
        assert session.get_one(Job, job.id).webhook.id == own  # type: ignore[union-attr]
    assert body["type"] == "job.failed"
    assert body["timestamp"].endswith("Z")
    assert body["data"] == {"id": job.id, "status": "failed", "attempt": 2, "metadata": {"team": "nlp"}, "error": factories.LOST}


def test_a_transition_that_is_rolled_back_is_not_sent(database: Database, settings: Settings) -> None:
    webhook = register(database, settings, FINAL_EVENTS)
    job = factories.running(database)

    def die() -> None:
        with database.write() as session:
            claims.fail(session, Fence.from_row(job), error=factories.LOST)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die()
    factories.expire_leases(database, job.id)
    with pytest.raises(LeaseLostError), database.write() as session:
        claims.fail(session, Fence(job.id, job.attempt + 1), error=factories.LOST)
    assert message_types(database, webhook) == []
    assert factories.load(database, job.id).status is Status.RUNNING


def test_a_retry_keeps_the_webhook(database: Database, settings: Settings) -> None:
    failed = factories.failed(database)
    webhook = register(database, settings, job_id=failed.id)
    with database.write() as session:
        again = commands.retry(session, failed.id)
        (copied,) = subscriptions.list_webhooks(session, job_id=again.id)
        first = subscriptions.signing_secrets(session, settings, subscriptions.get(session, webhook))
        assert subscriptions.signing_secrets(session, settings, copied) == first
    with database.write() as session:
        commands.request_cancel(session, again.id)
    assert message_types(database, copied.id) == ["job.cancelled"]
    with database.write() as session:
        commands.delete(session, again.id)
        assert subscriptions.list_webhooks(session, job_id=again.id) == []


def test_secrets_are_sealed_and_rotated(database: Database, settings: Settings) -> None:
    webhook_id = register(database, settings)
    with database.write() as session:
        row = subscriptions.get(session, webhook_id)
        (old,) = subscriptions.signing_secrets(session, settings, row)
        assert old.removeprefix("whsec_").encode() not in row.secret
        new = subscriptions.rotate(session, settings, row)
    with database.write() as session:
        row = subscriptions.get(session, webhook_id)
        assert subscriptions.signing_secrets(session, settings, row) == [new, old]
        session.execute(update(Webhook).values(former_until=now_sql(-1)))
        assert subscriptions.signing_secrets(session, settings, subscriptions.get(session, webhook_id)) == [new]
        other_key = settings.model_copy(update={"secret_key": SecretStr(base64.b64encode(bytes(32)).decode())})
        with pytest.raises(SecretsUnavailableError):
            subscriptions.signing_secrets(session, other_key, row)
        with pytest.raises(WebhookNotFoundError):
            subscriptions.get(session, webhook_id, owner="another")


def test_a_message_is_claimed_once_and_again_when_its_sender_died(database: Database, settings: Settings) -> None:
    register(database, settings, FINAL_EVENTS)
    for _ in range(2):
        factories.failed(database)
    (first,) = claim(database)  # one per receiver
    (second,) = claim(database)
    assert first.id != second.id
    assert claim(database) == []
    make_due(database)  # both senders fell silent
    (taken,) = claim(database)
    assert (taken.id, taken.attempts) == (first.id, 2)
    with database.write() as session:
        assert not outbox.record_result(session, first, DeliveryResult(200), max_attempts=10)  # too late: another attempt has begun
        assert outbox.record_result(session, taken, DeliveryResult(200), max_attempts=10)
        assert not outbox.record_result(session, taken, FAILED, max_attempts=10)
    with database.read() as session:
        row = session.get_one(Delivery, first.id)
    assert (row.due_at, row.last_status, row.last_error) == (None, 200, None)
    assert row.delivered_at is not None


def test_concurrent_claims(database: Database, settings: Settings) -> None:
    for owner in range(6):
        register(database, settings, FINAL_EVENTS, owner=f"owner-{owner}")
        with database.write() as session:
            job = commands.create(session, spec=factories.SPEC, owner=f"owner-{owner}")
            commands.request_cancel(session, job.id)
    claimed: list[Delivery] = []
    threads = [threading.Thread(target=lambda: claimed.extend(claim(database, limit=3))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed += claim(database, limit=6)
    assert len({row.id for row in claimed}) == len(claimed) == 6


def test_retries_follow_the_schedule_and_end(database: Database, settings: Settings) -> None:
    webhook_id = register(database, settings, FINAL_EVENTS)
    factories.failed(database)
    pauses = []
    for number in range(1, 4):
        (row,) = claim(database)
        with database.write() as session:
            outbox.record_result(session, row, FAILED, max_attempts=3, jitter=1.0)
        with database.read() as session:
            (after,) = outbox.list_deliveries(session, webhook_id, limit=5)
            assert after.attempts == number
            now = factories.db_now(session)
        pauses.append(None if after.due_at is None else round((after.due_at - now).total_seconds(), -1))
        make_due(database)
    assert pauses == [pytest.approx(SCHEDULE_SECONDS[1], abs=10), SCHEDULE_SECONDS[2], None]
    assert (after.delivered_at, after.last_error) == (None, "the receiver answered 500")
    factories.failed(database)
    with database.write() as session:
        assert outbox.backlog(session) == (1, 1)
        session.execute(update(Delivery).where(Delivery.due_at.is_not(None)).values(due_at=None))
        session.execute(update(Delivery).values(created_at=now_sql(-outbox.RETENTION_SECONDS - 1)))
    outbox.delete_old(database)
    with database.read() as session:
        assert outbox.list_deliveries(session, webhook_id, limit=5) == []


def test_messages_of_a_disabled_webhook_wait(database: Database, settings: Settings) -> None:
    webhook_id = register(database, settings, FINAL_EVENTS)
    factories.failed(database)
    with database.write() as session:
        subscriptions.disable(session, webhook_id, "requested")
    factories.failed(database)  # no message: the webhook is disabled
    assert claim(database) == []
    with database.read() as session:
        assert not outbox.any_due(session)
    with database.write() as session:
        subscriptions.enable(session, webhook_id)
    assert len(claim(database)) == 1
    assert message_types(database, webhook_id) == ["job.failed"]
    with database.write() as session:
        subscriptions.delete(session, webhook_id)
    assert message_types(database, webhook_id) == []


def test_a_webhook_deleted_during_a_transition_does_not_fail_it(database: Database, settings: Settings) -> None:
    webhook_id = register(database, settings, FINAL_EVENTS)
    job = factories.running(database)
    begun = threading.Event()
    failures: list[Exception] = []

    def fail() -> None:
        begun.set()
        try:
            with database.write() as session:
                claims.fail(session, Fence.from_row(job), error=factories.LOST)
        except (SQLAlchemyError, ServiceError) as failure:
            failures.append(failure)

    mover = threading.Thread(target=fail)
    with database.write() as session:
        subscriptions.delete(session, webhook_id)
        mover.start()
        assert begun.wait(10)
        mover.join(0.3)  # it waits for this transaction, or has not come to it yet: both must end well
    mover.join(20)
    assert (failures, factories.load(database, job.id).status) == ([], Status.FAILED)
    assert message_types(database, webhook_id) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_claim_does_not_lock_what_another_worker_sends(database: Database, settings: Settings) -> None:
    """Of two workers that claim at once one gets the message, and can record its result while the other is still at it."""
    register(database, settings)
    with database.write() as session:
        commands.request_cancel(session, factories.queued(database))
    sent: list[outbox.Claim] = []

    def meanwhile(_owner: str, _url: str) -> bool:
        with database.write() as other:
            sent.extend(outbox.claim(other, limit=5, lease_seconds=60))
        return True

    with database.write() as session:
        assert outbox.claim(session, limit=5, lease_seconds=60, accept=meanwhile) == []
        with database.write() as other:
            other.execute(text("SET LOCAL lock_timeout = '3s'"))
            (claimed,) = sent
            assert outbox.record_result(other, claimed.delivery, DeliveryResult(204), max_attempts=3)
