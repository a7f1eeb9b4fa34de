"""``espalier webhooks``: messages about jobs to a URL, and their deliveries."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli.ids import WebhookId
from espalier.cli.output import notify
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client._sync.client import Client
    from espalier.client.models import Delivery, Webhook

app = typer.Typer(help="Send messages about your jobs to a URL, and list their deliveries.", no_args_is_help=True)


@app.command()
@with_service
def create(
    context: ServiceContext,
    receiver: Annotated[str, typer.Argument(metavar="URL", help="https URL of a public address.")],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="e.g. job.succeeded; may be repeated. Default: the ends of jobs.")
    ] = None,
) -> None:
    """Create a webhook and print the secret that its messages are signed with, only this once.

    Example: espalier webhooks create https://example.com/espalier --event job.failed
    """
    with context.client() as client:
        made = client.create_webhook(receiver, event)
    _print_secret(context, made)


@app.command("list")
@with_service
def list_webhooks(context: ServiceContext) -> None:
    """List webhooks, newest first; never their secrets.

    Example: espalier webhooks list
    """
    with context.client() as client:
        found = list(client.webhooks())
    context.print_list(found, lambda: _webhooks_table(found))


@app.command()
@with_service
def deliveries(
    context: ServiceContext,
    webhook: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most this many, newest first.")] = 20,
) -> None:
    """List the latest messages of a webhook, and why one did not arrive.

    Example: espalier webhooks deliveries whk_01jd3
    """
    with context.client() as client:
        found = client.webhook_deliveries(webhook, limit)
    context.print_list(found, lambda: _deliveries_table(found))


@app.command()
@with_service
def test(context: ServiceContext, webhook: WebhookId) -> None:
    """Send a message of type webhook.test; espalier webhooks deliveries shows its result.

    Example: espalier webhooks test whk_01jd3
    """
    with context.client() as client:
        delivery = client.test_webhook(webhook)
    context.print_resource(delivery, f"{delivery.id} {delivery.status}")


@app.command()
@with_service
def enable(context: ServiceContext, webhook: WebhookId) -> None:
    """Resume messages, pending ones included.

    Example: espalier webhooks enable whk_01jd3
    """
    _set_enabled(context, lambda client: client.enable_webhook(webhook))


@app.command()
@with_service
def disable(context: ServiceContext, webhook: WebhookId) -> None:
    """Hold messages back until it is enabled again; events meanwhile send no message.

    Example: espalier webhooks disable whk_01jd3
    """
    _set_enabled(context, lambda client: client.disable_webhook(webhook))


@app.command()
@with_service
def rotate(context: ServiceContext, webhook: WebhookId) -> None:
    """Print a new secret, only this once; for a day messages carry the signature of the old one as well.

    Example: espalier webhooks rotate whk_01jd3
    """
    with context.client() as client:
        turned = client.rotate_webhook(webhook)
    _print_secret(context, turned)


@app.command()
@with_service
def delete(context: ServiceContext, webhook: WebhookId) -> None:
    """Delete a webhook, with its undelivered messages.

    Example: espalier webhooks delete whk_01jd3
    """
    with context.client() as client:
        client.delete_webhook(webhook)
    context.print_line(f"{webhook} deleted", {"id": webhook, "deleted": True})


def _set_enabled(context: ServiceContext, request: "Callable[[Client], Webhook]") -> None:
    with context.client() as client:
        webhook = request(client)
    context.print_resource(webhook, f"{webhook.id} {'enabled' if webhook.enabled else 'disabled'}")


def _print_secret(context: ServiceContext, webhook: "Webhook") -> None:
    if not context.as_json:
        notify(f"{webhook.id} receives {', '.join(webhook.events)}; store its secret now, it cannot be shown again:")
    context.print_resource(webhook, str(webhook.secret))


def _webhooks_table(found: "list[Webhook]") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "url", "events", "state", box=None)
    for webhook in found:
        state = "enabled" if webhook.enabled else f"disabled: {webhook.disabled_reason}"
        table.add_row(webhook.id, webhook.url, ", ".join(webhook.events), state)
    return table


def _deliveries_table(found: "list[Delivery]") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "event", Column("job", no_wrap=True), "state", "tries", "last", box=None)
    for each in found:
        last = each.last_error or (str(each.last_status) if each.last_status is not None else "")
        table.add_row(each.id, each.type, each.job_id or "", each.status, str(each.attempts), last)
    return table
