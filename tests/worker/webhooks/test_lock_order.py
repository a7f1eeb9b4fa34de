"""Locks of webhooks and their messages on PostgreSQL: one order for all, so that there are no deadlocks."""

import base64
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Delivery
from service.errors import WebhookNotFoundError
from service.webhooks import outbox, subscriptions
from tests.waiting import wait_until
from tests.webhook_receiver import webhook_receiver
from tests.worker.conftest import WorkerHarness
from tests.worker.webhooks.test_dispatcher import cancel_a_job, register
from worker.webhooks.dispatcher import WebhookDispatcher

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def harness(harness: WorkerHarness) -> WorkerHarness:
    """Receivers of this test listen on loopback addresses; on PostgreSQL no secret key is made."""
    key = SecretStr(base64.b64encode(bytes(32)).decode())
    changes = {"webhook_allow_private": True, "webhook_allow_http": True, "secret_key": key}
    harness.context.settings = harness.context.settings.model_copy(update=changes)
    return harness


def a_statement_waits(database: Database) -> bool:
    with database.read() as session:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(session.execute(text(waiting)).scalar_one())


def delete(database: Database, webhook_id: str) -> None:
    with database.write() as session:
        subscriptions.delete(session, webhook_id)


def test_a_webhook_is_deleted_while_its_receiver_says_that_it_is_gone(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = harness.context.database
    deletions: list[Future[None]] = []
    with webhook_receiver(410) as receiver, ThreadPoolExecutor(1) as pool:
        webhook_id, _ = register(harness, receiver.url)
        cancel_a_job(harness)

        def interrupted(change: Callable[..., Any]) -> Callable[..., Any]:
            """A deletion begins after the first change of the transaction and waits for the second."""

            def changed(*arguments: Any, **options: Any) -> Any:
                result = change(*arguments, **options)
                if not deletions:
                    deletions.append(pool.submit(delete, database, webhook_id))
                    wait_until(lambda: a_statement_waits(database), what="the deletion to wait")
                return result

            return changed

        for module, name in ((outbox, "record_result"), (subscriptions, "disable")):
            monkeypatch.setattr(module, name, interrupted(getattr(module, name)))
        assert WebhookDispatcher(harness.context).tick() == 1
        deletions[0].result()
    assert "could not be recorded" not in caplog.text
    with database.read() as session, pytest.raises(WebhookNotFoundError):
        subscriptions.get(session, webhook_id)


def test_old_messages_are_deleted_except_for_locked_ones(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_DELETED", 2)
    database = harness.context.database
    webhook_id, _ = register(harness, "http://127.0.0.1:1/")
    for _ in range(5):
        cancel_a_job(harness)
    with database.write() as session:
        long_ago = now_sql(-outbox.RETENTION_SECONDS - 60)
        session.execute(update(Delivery).values(due_at=None, created_at=long_ago))
        ids = [delivery.id for delivery in outbox.list_deliveries(session, webhook_id, limit=9)]
    assert len(ids) == 5
    with database.write() as session:
        session.execute(text("SELECT id FROM deliveries WHERE id = :id FOR UPDATE"), {"id": ids[0]})
        outbox.delete_old(database)
    with database.read() as session:
        assert [delivery.id for delivery in outbox.list_deliveries(session, webhook_id, limit=9)] == ids[:1]
