# made by `python -m scripts.unasync` from espalier/client/_async/webhooks.py; change that file, not this one
"""Webhooks in the client: who is told of jobs, and whether it arrived. The part of ``Client`` that speaks of them."""

from collections.abc import Iterator, Sequence

from espalier.client._sync.http import Http
from espalier.client.models import Delivery, Webhook


class WebhookCalls:
    """What ``Client`` can do with webhooks. Every method raises ApiError or UnreachableError."""

    _http: Http

    def create_webhook(self, url: str, events: Sequence[str] | None = None, *, secret: str | None = None) -> Webhook:
        """Have ``url`` told of all your jobs: of ``events`` such as ``job.succeeded``, by default of every end.

        The answer has the ``secret`` that messages are signed with, this once; None after an answer that was lost and asked
        for again, then ``rotate_webhook`` gives another.
        """
        body = {"url": url, "events": None if events is None else [*events], "secret": secret}
        given = {name: value for name, value in body.items() if value is not None}
        return Webhook.model_validate(self._http.ask("POST", "/v1/webhooks", json=given))

    def webhooks(self) -> Iterator[Webhook]:
        """All webhooks, newest first."""
        for row in self._http.rows("/v1/webhooks"):
            yield Webhook.model_validate(row)

    def webhook(self, webhook: Webhook | str) -> Webhook:
        """The webhook of that id, without its secret."""
        return Webhook.model_validate(self._http.ask("GET", _path(webhook)))

    def webhook_deliveries(self, webhook: Webhook | str, limit: int = 20) -> list[Delivery]:
        """The latest messages, newest first, and why one did not arrive; at most 100."""
        page = self._http.ask("GET", f"{_path(webhook)}/deliveries", params={"limit": limit})
        return [Delivery.model_validate(row) for row in page["data"]]

    def enable_webhook(self, webhook: Webhook | str) -> Webhook:
        """Send messages again, also those that waited."""
        return Webhook.model_validate(self._http.ask("POST", f"{_path(webhook)}/enable"))

    def disable_webhook(self, webhook: Webhook | str) -> Webhook:
        """Hold messages back; what happens meanwhile is not told."""
        return Webhook.model_validate(self._http.ask("POST", f"{_path(webhook)}/disable"))

    def rotate_webhook(self, webhook: Webhook | str) -> Webhook:
        """The webhook with a new secret, shown this once; for a day messages carry both signatures."""
        return Webhook.model_validate(self._http.ask("POST", f"{_path(webhook)}/rotate"))

    def delete_webhook(self, webhook: Webhook | str) -> None:
        """Delete it, with the messages that it was still to get."""
        self._http.ask("DELETE", _path(webhook))


def _path(webhook: Webhook | str) -> str:
    return f"/v1/webhooks/{webhook if isinstance(webhook, str) else webhook.id}"
