"""Webhook routes: create, list, get, test, enable, disable, rotate, delete, and list deliveries.

The messages are sent by ``worker.webhooks.dispatcher``.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from api.errors.problems import problem_responses
from api.request.auth import Reader, Writer
from api.request.deps import ServicesDep, WebhookId
from api.request.idempotency import REPLAYED_HEADER, Idempotency
from api.request.paging import page_size
from api.responses.routing import AuthenticatedRoute
from api.schemas.webhooks import Delivery, DeliveryList, Webhook, WebhookList, WebhookRequest
from api.submission.admission import check_webhook, store_webhook
from pruning.errors import PermanentError
from service.webhooks import outbox, subscriptions

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=AuthenticatedRoute)
_LOCATION: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"description": "Path of the webhook", "schema": {"type": "string"}}, **REPLAYED_HEADER}}
}


@router.post(
    "",
    operation_id="createWebhook",
    status_code=201,
    response_model=Webhook,
    responses=problem_responses(400, 409, 413, 415, 422) | _LOCATION,
    summary="Create a webhook for all your jobs",
)
def create_webhook(request: WebhookRequest, services: ServicesDep, caller: Writer, idempotency: Idempotency) -> Response:
    """Messages follow [Standard Webhooks](https://www.standardwebhooks.com). The secret is shown this once: a response that
    is repeated for its `Idempotency-Key` has none; `rotate` makes a new one."""
    if (stored := idempotency.stored_response()) is not None:
        return stored
    check_webhook(request, services.settings, caller.owner, param="url")
    with services.database.write() as session:
        if len(subscriptions.list_webhooks(session, owner=caller.owner)) >= services.settings.webhook_max_per_owner:
            raise PermanentError(
                f"there are {services.settings.webhook_max_per_owner} webhooks already; delete one first", code="too_many_webhooks"
            )
        row, secret = store_webhook(session, services.settings, request, owner=caller.owner)
        idempotency.store_response(session, 201, Webhook.from_row(row).model_dump_json(), location := f"/v1/webhooks/{row.id}")
        webhook = Webhook.from_row(row, secret)
    return Response(webhook.model_dump_json(), 201, {"Location": location}, "application/json")


@router.get("", operation_id="listWebhooks", responses=problem_responses(), summary="List webhooks")
def list_webhooks(services: ServicesDep, caller: Reader) -> WebhookList:
    """Webhooks for all jobs; one that was submitted with a job is shown with the job."""
    with services.database.read() as session:
        data = [Webhook.from_row(row) for row in subscriptions.list_webhooks(session, owner=caller.owner_filter)]
    return WebhookList(data=data, has_more=False, next_cursor=None)


@router.get("/{webhook_id}", operation_id="getWebhook", responses=problem_responses(404), summary="Get a webhook")
def get_webhook(webhook_id: WebhookId, services: ServicesDep, caller: Reader) -> Webhook:
    """The response has no secret."""
    with services.database.read() as session:
        return Webhook.from_row(subscriptions.get(session, webhook_id, owner=caller.owner_filter))


@router.get(
    "/{webhook_id}/deliveries",
    operation_id="listDeliveries",
    responses=problem_responses(404, 422),
    summary="List the deliveries of a webhook",
)
def list_deliveries(
    webhook_id: WebhookId, services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("messages")] = 20
) -> DeliveryList:
    """The latest messages, with the reasons of failures. Delivered and failed messages are kept for 30 days."""
    with services.database.read() as session:
        subscriptions.get(session, webhook_id, owner=caller.owner_filter)
        rows = outbox.list_deliveries(session, webhook_id, limit=limit)
    return DeliveryList(data=[Delivery.from_row(row) for row in rows], has_more=False, next_cursor=None)


@router.post(
    "/{webhook_id}/test",
    operation_id="testWebhook",
    status_code=202,
    responses=problem_responses(404),
    summary="Send a test message",
)
def test_webhook(webhook_id: WebhookId, services: ServicesDep, caller: Writer) -> Delivery:
    """A message of type `webhook.test`, also where the webhook has other events. Its result is among the deliveries. One test can
    be pending at a time; that of a disabled webhook waits until it is enabled."""
    with services.database.write() as session:
        row = subscriptions.get(session, webhook_id, owner=caller.owner_filter)
        return Delivery.from_row(outbox.add_test(session, row))


@router.post("/{webhook_id}/enable", operation_id="enableWebhook", responses=problem_responses(404), summary="Enable a webhook")
def enable_webhook(webhook_id: WebhookId, services: ServicesDep, caller: Writer) -> Webhook:
    """Pending messages are sent, too."""
    with services.database.write() as session:
        subscriptions.get(session, webhook_id, owner=caller.owner_filter)
        subscriptions.enable(session, webhook_id)
        return _read(session, webhook_id)


@router.post("/{webhook_id}/disable", operation_id="disableWebhook", responses=problem_responses(404), summary="Disable a webhook")
def disable_webhook(webhook_id: WebhookId, services: ServicesDep, caller: Writer) -> Webhook:
    """Due messages wait until it is enabled; events that occur while it is disabled send no message."""
    with services.database.write() as session:
        subscriptions.get(session, webhook_id, owner=caller.owner_filter)
        subscriptions.disable(session, webhook_id, "requested")
        return _read(session, webhook_id)


@router.post(
    "/{webhook_id}/rotate", operation_id="rotateWebhookSecret", responses=problem_responses(404), summary="Rotate the secret"
)
def rotate_webhook_secret(webhook_id: WebhookId, services: ServicesDep, caller: Writer) -> Webhook:
    """Returns a new secret, once. For a day messages carry the signature of the old one as well."""
    with services.database.write() as session:
        row = subscriptions.get(session, webhook_id, owner=caller.owner_filter)
        secret = subscriptions.rotate(session, services.settings, row)
        return Webhook.from_row(row, secret=secret)


@router.delete(
    "/{webhook_id}", operation_id="deleteWebhook", status_code=204, responses=problem_responses(404), summary="Delete a webhook"
)
def delete_webhook(webhook_id: WebhookId, services: ServicesDep, caller: Writer) -> None:
    """Deletes its undelivered messages, too."""
    with services.database.write() as session:
        subscriptions.get(session, webhook_id, owner=caller.owner_filter)
        subscriptions.delete(session, webhook_id)


def _read(session: Session, webhook_id: str) -> Webhook:
    return Webhook.from_row(subscriptions.get(session, webhook_id))
