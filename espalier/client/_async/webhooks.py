"""Webhook calls of ``AsyncClient``: create, test, enable, disable, rotate secrets, list deliveries."""

from collections.abc import AsyncIterator, Sequence

from espalier.client._async.http import Http
from espalier.client.models import Delivery, Webhook
from espalier.client.resource import resource_path


class WebhookCalls:
    """Methods of ``AsyncClient`` for webhooks. Every one raises ApiError or UnreachableError."""

    _http: Http

    async def create_webhook(self, url: str, events: Sequence[str] | None = None, *, secret: str | None = None) -> Webhook:
        """Send messages about all your jobs to ``url``: of ``events`` such as ``job.succeeded``, by default of every end.

        Only this response has the ``secret`` that messages are signed with; it is None when the response was lost and the
        request repeated, and then ``rotate_webhook`` makes another.
        """
        body = {"url": url, "events": None if events is None else [*events], "secret": secret}
        given = {name: value for name, value in body.items() if value is not None}
        return Webhook.model_validate(await self._http.request("POST", "/v1/webhooks", json=given))

    async def webhooks(self) -> AsyncIterator[Webhook]:
        """All webhooks, newest first."""
        async for row in self._http.rows("/v1/webhooks"):
            yield Webhook.model_validate(row)

    async def webhook(self, webhook: Webhook | str) -> Webhook:
        """The webhook of that id, without its secret."""
        return Webhook.model_validate(await self._http.request("GET", _path(webhook)))

    async def webhook_deliveries(self, webhook: Webhook | str, limit: int = 20) -> list[Delivery]:
        """The latest messages, newest first, and why one did not arrive; at most 100."""
        page = await self._http.page(f"{_path(webhook)}/deliveries", {"limit": limit})
        return [Delivery.model_validate(row) for row in page["data"]]

    async def test_webhook(self, webhook: Webhook | str) -> Delivery:
        """Send it a message of type ``webhook.test``; ``webhook_deliveries`` has its result. One test at a time."""
        return Delivery.model_validate(await self._http.request("POST", f"{_path(webhook)}/test"))

    async def enable_webhook(self, webhook: Webhook | str) -> Webhook:
        """Resume messages, pending ones included."""
        return Webhook.model_validate(await self._http.request("POST", f"{_path(webhook)}/enable"))

    async def disable_webhook(self, webhook: Webhook | str) -> Webhook:
        """Hold messages back; events meanwhile send no message."""
        return Webhook.model_validate(await self._http.request("POST", f"{_path(webhook)}/disable"))

    async def rotate_webhook(self, webhook: Webhook | str) -> Webhook:
        """The webhook with a new secret, shown this once; for a day messages carry both signatures."""
        return Webhook.model_validate(await self._http.request("POST", f"{_path(webhook)}/rotate"))

    async def delete_webhook(self, webhook: Webhook | str) -> None:
        """Delete it, with its messages that were not delivered."""
        await self._http.request("DELETE", _path(webhook))


def _path(webhook: Webhook | str) -> str:
    return resource_path("webhooks", webhook)
