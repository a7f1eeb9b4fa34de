"""Ticks of the dispatcher against a local receiver; the Standard Webhooks library checks the signatures."""

import socket
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update
from standardwebhooks.webhooks import WebhookVerificationError

from service.db.clock import now_sql
from service.db.models import Delivery
from service.jobs import claims, commands
from service.jobs.status_messages import FINAL_EVENTS
from service.webhooks import outbox, ssrf, subscriptions
from service.webhooks.ssrf import UrlPolicy
from tests.json_logs import logged
from tests.waiting import wait_until
from tests.webhook_receiver import webhook_receiver
from tests.worker.conftest import SPEC, WorkerHarness
from worker.context import Context
from worker.webhooks import dispatcher as dispatcher_module
from worker.webhooks.dispatcher import WebhookDispatcher

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def harness(harness: WorkerHarness) -> WorkerHarness:
    """Allowed to call this machine, in the clear."""
    local = {"webhook_allow_private": True, "webhook_allow_http": True, "webhook_poll_seconds": 0.05}
    return WorkerHarness(Context(harness.context.settings.model_copy(update=local), harness.context.database))


def register(harness: WorkerHarness, url: str) -> tuple[str, str]:
    """A receiver of the ends of all jobs: its id and its secret."""
    secret = subscriptions.new_secret()
    with harness.context.database.write() as session:
        row = subscriptions.create(session, harness.context.settings, owner="local", url=url, events=FINAL_EVENTS, secret=secret)
        return row.id, secret


def cancel_a_job(harness: WorkerHarness) -> str:
    job_id = harness.submit()
    with harness.context.database.write() as session:
        commands.request_cancel(session, job_id)
    return job_id


def message(harness: WorkerHarness, webhook_id: str) -> Delivery:
    with harness.context.database.read() as session:
        (row,) = outbox.list_deliveries(session, webhook_id, limit=5)
        return row


def make_due(harness: WorkerHarness) -> None:
    with harness.context.database.write() as session:
        session.execute(update(Delivery).where(Delivery.due_at.is_not(None)).values(due_at=now_sql(-1)))


def outcomes(harness: WorkerHarness) -> dict[str, float]:
    """Attempts to deliver by outcome, as Prometheus sees them."""
    name = "espalier_webhook_delivery_seconds_count"
    samples = [sample for family in harness.context.registry.collect() for sample in family.samples if sample.name == name]
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.value}


def test_a_message_arrives_with_a_valid_signature(harness: WorkerHarness) -> None:
    """The worker that moved the job is gone before anything is sent; what it committed is enough."""
    with webhook_receiver() as receiver:
        webhook_id, secret = register(harness, receiver.url)
        harness.submit()
        claimed = harness.claim()
        with harness.context.database.write() as session:
            claims.cancel(session, claimed.fence)
        assert WebhookDispatcher(harness.context).tick() == 1
        assert WebhookDispatcher(harness.context).tick() == 0
        (request,) = receiver.requests
        assert request[0] == "/hook?a=b"
        assert request[1]["host"] == receiver.url.split("/")[2]
        payload = receiver.verified(secret)
        assert (payload["type"], payload["data"]["id"]) == ("job.cancelled", claimed.fence.job_id)
        assert request[1]["webhook-id"] == message(harness, webhook_id).id
        with pytest.raises(WebhookVerificationError):
            receiver.verified(subscriptions.new_secret())
    assert message(harness, webhook_id).delivered_at is not None


def test_a_test_message_arrives_signed_and_one_at_a_time(harness: WorkerHarness) -> None:
    with webhook_receiver() as receiver:
        webhook_id, secret = register(harness, receiver.url)
        ids = set()
        for _ in range(2):
            with harness.context.database.write() as session:
                ids.add(outbox.add_test(session, subscriptions.get(session, webhook_id)).id)
        assert WebhookDispatcher(harness.context).tick() == 1
        ((_, headers, _),) = receiver.requests
        assert {headers["webhook-id"]} == ids
        assert receiver.verified(secret)["type"] == "webhook.test"
    assert message(harness, webhook_id).delivered_at is not None


def test_both_secrets_sign_after_a_rotation(harness: WorkerHarness) -> None:
    with webhook_receiver() as receiver:
        webhook_id, old = register(harness, receiver.url)
        with harness.context.database.write() as session:
            new = subscriptions.rotate(session, harness.context.settings, subscriptions.get(session, webhook_id))
        job_id = cancel_a_job(harness)
        WebhookDispatcher(harness.context).tick()
        assert receiver.verified(old)["data"]["id"] == receiver.verified(new)["data"]["id"] == job_id


def test_a_message_is_retried_under_the_same_id_until_it_is_accepted(harness: WorkerHarness) -> None:
    with webhook_receiver(500, (503, {"Retry-After": "7200"})) as receiver:
        webhook_id, secret = register(harness, receiver.url)
        cancel_a_job(harness)
        dispatcher = WebhookDispatcher(harness.context)
        assert dispatcher.tick() == 1
        assert dispatcher.tick() == 0  # not yet
        failed = message(harness, webhook_id)
        assert (failed.last_status, failed.last_error) == (500, "the receiver answered 500")
        make_due(harness)
        dispatcher.tick()
        waiting = message(harness, webhook_id)
        assert waiting.due_at is not None
        assert waiting.last_attempt_at is not None
        assert (waiting.due_at - waiting.last_attempt_at).total_seconds() >= 7200
        make_due(harness)
        dispatcher.tick()
        assert (message(harness, webhook_id).last_status, message(harness, webhook_id).attempts) == (204, 3)
        assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1
        assert len({body for _, _, body in receiver.requests}) == 1
        assert receiver.verified(secret, 0) == receiver.verified(secret, 2)
    assert outcomes(harness) == {"retried": 2, "delivered": 1}


def test_a_receiver_that_is_gone_gets_no_more_messages(harness: WorkerHarness) -> None:
    with webhook_receiver(410) as receiver:
        webhook_id, _ = register(harness, receiver.url)
        cancel_a_job(harness)
        cancel_a_job(harness)
        dispatcher = WebhookDispatcher(harness.context)
        dispatcher.tick()
        assert dispatcher.tick() == 0
        assert len(receiver.requests) == 1
        with harness.context.database.read() as session:
            assert subscriptions.get(session, webhook_id).disabled_reason == "gone"
    assert outcomes(harness) == {"gone": 1}


def test_redirects_are_not_followed(harness: WorkerHarness) -> None:
    with webhook_receiver() as elsewhere, webhook_receiver((302, {"Location": elsewhere.url})) as receiver:
        webhook_id, _ = register(harness, receiver.url)
        cancel_a_job(harness)
        WebhookDispatcher(harness.context).tick()
        assert (len(receiver.requests), elsewhere.requests) == (1, [])
        assert message(harness, webhook_id).last_error == "the receiver answered 302, and redirects are not followed"


def test_an_address_that_turned_private_is_refused_at_the_call(harness: WorkerHarness) -> None:
    """The same name resolves to this machine now; and http is no longer allowed."""
    with webhook_receiver() as receiver:
        webhook_id, _ = register(harness, receiver.url)
        cancel_a_job(harness)
        strict = harness.context.settings.model_copy(update={"webhook_allow_private": False})
        WebhookDispatcher(Context(strict, harness.context.database)).tick()
        assert receiver.requests == []
        assert message(harness, webhook_id).last_error == "127.0.0.1 resolves to an address that is not public"
        make_due(harness)
        strict = harness.context.settings.model_copy(update={"webhook_allow_http": False})
        WebhookDispatcher(Context(strict, harness.context.database)).tick()
        assert receiver.requests == []


def test_the_name_is_resolved_once_per_call(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time is never asked a second time."""
    with webhook_receiver() as receiver:
        port = int(receiver.url.split(":")[2].split("/")[0])
        asked: list[str] = []
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
            if host == "receiver.example":
                asked.append(host)
                host = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
            return real(host, *arguments, **named)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        register(harness, f"http://receiver.example:{port}/")
        cancel_a_job(harness)
        WebhookDispatcher(harness.context).tick()
        assert (asked, receiver.requests[0][1]["host"]) == (["receiver.example"], f"receiver.example:{port}")


def test_an_error_with_one_message_does_not_stop_the_others(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug, a receiver that is down, and one that listens."""
    real = ssrf.resolve_checked

    def resolve_checked(url: str, policy: UrlPolicy, owner: str) -> Any:
        if "broken" in url:
            raise ZeroDivisionError
        return real(url, policy, owner)

    monkeypatch.setattr(dispatcher_module, "resolve_checked", resolve_checked)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = closed.getsockname()[1]
    with webhook_receiver() as receiver:
        broken, _ = register(harness, "http://broken.example/")
        absent, _ = register(harness, f"http://127.0.0.1:{down}/")
        register(harness, receiver.url)
        job_id = cancel_a_job(harness)
        with logged("worker") as lines:
            assert WebhookDispatcher(harness.context).tick() == 3
        assert len(receiver.requests) == 1
    assert {(line["owner"], line["job_id"]) for line in lines} == {("local", job_id)}
    assert sum("exception" in line for line in lines) == 1
    assert message(harness, broken).last_error == "ZeroDivisionError"
    assert str(message(harness, absent).last_error).startswith("ConnectError")


def test_a_secret_that_cannot_be_read_delays_the_message(harness: WorkerHarness) -> None:
    with webhook_receiver() as receiver:
        webhook_id, _ = register(harness, receiver.url)
        cancel_a_job(harness)
        other = harness.context.settings.model_copy(update={"secret_key": SecretStr("A" * 43 + "=")})
        WebhookDispatcher(Context(other, harness.context.database)).tick()
        assert "ESPALIER_SECRET_KEY" in str(message(harness, webhook_id).last_error)
        assert message(harness, webhook_id).due_at is not None
        assert receiver.requests == []


def test_the_thread_sends_due_messages(harness: WorkerHarness) -> None:
    with webhook_receiver() as receiver:
        register(harness, receiver.url)
        dispatcher = WebhookDispatcher(harness.context)
        dispatcher.start()
        for _ in range(3):
            cancel_a_job(harness)
        wait_until(lambda: len(receiver.requests) == 3, what="three messages")
        dispatcher.stop()


def test_receivers_that_do_not_answer_delay_their_owner_alone(harness: WorkerHarness) -> None:
    """Forty of one owner's receivers accept connections and are silent; the other owner's gets its messages meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent, webhook_receiver() as receiver:
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for _ in range(40):
            register(harness, dead)
        cancel_a_job(harness)
        settings = harness.context.settings
        with harness.context.database.write() as session:
            secret = subscriptions.new_secret()
            subscriptions.create(session, settings, owner="other", url=receiver.url, events=FINAL_EVENTS, secret=secret)
        patient = settings.model_copy(update={"webhook_timeout_seconds": 600.0})
        dispatcher = WebhookDispatcher(Context(patient, harness.context.database))
        dispatcher.start()
        try:
            for _ in range(3):
                with harness.context.database.write() as session:
                    job = commands.create(session, spec=SPEC, owner="other")
                    commands.request_cancel(session, job.id)
            wait_until(lambda: len(receiver.requests) == 3, what="the other owner's messages")
        finally:
            silent.close()  # what is being sent there fails
            dispatcher.stop()
