"""``espalier webhooks``: have a URL told of your jobs, and see whether the messages arrive."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.output import list_json, said_or_json, say, show

if TYPE_CHECKING:
    from espalier.client._sync.client import Client
    from espalier.client.models import Webhook

app = typer.Typer(help="Have a URL told of your jobs, and see whether messages arrive.", no_args_is_help=True)
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of a webhook, e.g. from: espalier webhooks list")]


@app.command()
def create(
    receiver: Annotated[str, typer.Argument(metavar="URL", help="https, and no private address.")],
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help="e.g. job.succeeded; may be repeated. Default: the ends of jobs."),
    ] = None,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a webhook and print the secret that its messages are signed with, this once.

    Example: espalier webhooks create https://example.com/espalier --event job.failed
    """
    with options.client(url, api_key) as client:
        made = client.create_webhook(receiver, event)
    _tell_secret(made, as_json)


@app.command("list")
def list_webhooks(
    url: options.Url = options.DEFAULT_URL, api_key: options.ApiKey = None, as_json: options.AsJson = False
) -> None:
    """List webhooks, newest first; never their secrets.

    Example: espalier webhooks list
    """
    with options.client(url, api_key) as client:
        found = list(client.webhooks())
    if as_json:
        print(list_json(found))
        return
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "url", "events", "state", box=None)
    for webhook in found:
        state = "enabled" if webhook.enabled else f"disabled: {webhook.disabled_reason}"
        table.add_row(webhook.id, webhook.url, ", ".join(webhook.events), state)
    show(table)


@app.command()
def deliveries(
    webhook: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most this many, newest first.")] = 20,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """List the latest messages of a webhook, and why one did not arrive.

    Example: espalier webhooks deliveries whk_01jd3
    """
    with options.client(url, api_key) as client:
        found = client.webhook_deliveries(webhook, limit)
    if as_json:
        print(list_json(found))
        return
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "event", Column("job", no_wrap=True), "state", "tries", "last", box=None)
    for each in found:
        last = each.last_error or (str(each.last_status) if each.last_status is not None else "")
        table.add_row(each.id, each.type, each.job_id, each.status, str(each.attempts), last)
    show(table)


@app.command()
def enable(
    webhook: WebhookId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Send messages again, also those that waited.

    Example: espalier webhooks enable whk_01jd3
    """
    _turn(url, api_key, as_json, lambda client: client.enable_webhook(webhook))


@app.command()
def disable(
    webhook: WebhookId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Hold messages back until it is enabled again; what happens meanwhile is not told.

    Example: espalier webhooks disable whk_01jd3
    """
    _turn(url, api_key, as_json, lambda client: client.disable_webhook(webhook))


@app.command()
def rotate(
    webhook: WebhookId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Print a new secret, this once; for a day messages carry the signature of the old one as well.

    Example: espalier webhooks rotate whk_01jd3
    """
    with options.client(url, api_key) as client:
        turned = client.rotate_webhook(webhook)
    _tell_secret(turned, as_json)


@app.command()
def delete(
    webhook: WebhookId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Delete a webhook, with the messages that it was still to get.

    Example: espalier webhooks delete whk_01jd3
    """
    with options.client(url, api_key) as client:
        client.delete_webhook(webhook)
    said_or_json(f"{webhook} deleted", {"id": webhook, "deleted": True}, as_json)


def _turn(url: str, api_key: str | None, as_json: bool, turn: "Callable[[Client], Webhook]") -> None:
    with options.client(url, api_key) as client:
        turned = turn(client)
    state = "enabled" if turned.enabled else "disabled"
    print(turned.model_dump_json(indent=2) if as_json else f"{turned.id} {state}")


def _tell_secret(webhook: "Webhook", as_json: bool) -> None:
    if as_json:
        print(webhook.model_dump_json(indent=2))
        return
    say(f"{webhook.id} is told of {', '.join(webhook.events)}; keep its secret now, it cannot be shown again:")
    print(webhook.secret)
