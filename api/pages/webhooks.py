"""Pages of webhooks: a list with a form for another, and each with its latest deliveries; tested, switched off and on, deleted.

No page shows a secret: a webhook that is created here takes a secret that its receiver already has.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Request, Response

from api.pages.access import PageReader, PageRoute, PageWriter
from api.pages.error_pages import refusal_of
from api.pages.forms import action_of, parse_body, redirect
from api.pages.rendering import render
from api.request.auth import Caller
from api.request.deps import Services, ServicesDep, WebhookId
from api.request.idempotency import IdempotentRequest
from api.routes import webhooks
from api.schemas.webhooks import JobWebhookRequest
from service.jobs.status_messages import FINAL_EVENTS, EventType

router = APIRouter(prefix="/webhooks", include_in_schema=False, route_class=PageRoute)
_CHANGES = {"enable": webhooks.enable_webhook, "disable": webhooks.disable_webhook, "test": webhooks.test_webhook}


@router.get("")
def webhooks_page(request: Request, services: ServicesDep, caller: PageReader) -> Response:
    """Webhooks for all jobs of the caller, and the form for another."""
    return _page(request, services, caller)


@router.post("")
def create(
    request: Request,
    services: ServicesDep,
    caller: PageWriter,
    url: Annotated[str, Form()] = "",
    events: Annotated[list[str], Form(alias="event")] = [],  # noqa: B006 - FastAPI copies it
    secret: Annotated[str, Form()] = "",
) -> Response:
    """Redirect to the new webhook; or the form again, with the refusal of the API and without the secret."""
    try:
        asked = parse_body(JobWebhookRequest, {"url": url.strip(), "events": events, "secret": secret.strip()})
        unkeyed = IdempotentRequest(services, caller.owner, "POST /webhooks", None, "")
        made = webhooks.create_webhook(asked, services, caller, unkeyed)
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        status, refusal = refusal_of(request, error)
        return _page(request, services, caller, status, refusal=refusal, given={"url": url, "events": events})
    return redirect(request, f"/webhooks/{made.headers['Location'].rpartition('/')[2]}")


@router.get("/{webhook_id}")
def webhook_page(
    webhook_id: WebhookId, request: Request, services: ServicesDep, caller: PageReader, hx_request: Annotated[str, Header()] = ""
) -> Response:
    """A webhook and its latest deliveries; for htmx the part that changes."""
    webhook = webhooks.get_webhook(webhook_id, services, caller)
    deliveries = webhooks.list_deliveries(webhook_id, services, caller, 50).data
    template = "_webhook.html" if hx_request else "webhook.html"
    return render(request, template, webhook=webhook, deliveries=deliveries)


@router.post("/{webhook_id}/delete")
def delete(webhook_id: WebhookId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the list."""
    webhooks.delete_webhook(webhook_id, services, caller)
    return redirect(request, "/webhooks")


@router.post("/{webhook_id}/enable")
@router.post("/{webhook_id}/disable")
@router.post("/{webhook_id}/test")
def change_state(webhook_id: WebhookId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Enable or disable it; enabling sends pending messages first. Redirect to the webhook."""
    _CHANGES[action_of(request)](webhook_id, services, caller)
    return redirect(request, f"/webhooks/{webhook_id}")


def _page(
    request: Request,
    services: Services,
    caller: Caller,
    status: int = 200,
    *,
    refusal: str = "",
    given: dict[str, Any] | None = None,
) -> Response:
    return render(
        request,
        "webhooks.html",
        status,
        webhooks=webhooks.list_webhooks(services, caller).data,
        refusal=refusal,
        given=given or {"url": "", "events": [*FINAL_EVENTS]},
        events=[*EventType],
    )
