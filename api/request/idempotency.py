"""Idempotency keys: a POST that is repeated with its ``Idempotency-Key`` is executed once, and repetitions get the first response.

Semantics of draft-ietf-httpapi-idempotency-key-header: a key belongs to its owner and to a route; the same key with another
request is refused, and so is a repetition whose first request has no response yet. Only successes are stored, so a request that
was refused can be corrected and sent again with its key. A route takes ``idempotency: Idempotency``, returns
``idempotency.stored_response()`` if there is one, and calls ``idempotency.store_response(...)`` at the end of the transaction
that does the work.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from sqlalchemy.orm import Session

from api.request.auth import Writer
from api.request.deps import Services, ServicesDep
from service.access import idempotency

_KEY = r'^(?:"[ !#-\[\]-~]{1,255}"|[!#-~]{1,255})$'  # the draft specifies a quoted string, most clients send it bare
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=_KEY,
        max_length=257,
        description="Any text that is new for each request, e.g. a UUID: the request can then be repeated safely",
    ),
]
REPLAYED_HEADER: dict[str, Any] = {
    "Idempotency-Replayed": {"description": "true: this is the response to an earlier request", "schema": {"type": "string"}}
}
"""For the ``headers`` of a response in OpenAPI."""


@dataclass(frozen=True)
class IdempotentRequest:
    """A request that may be a repetition; without a key it never is."""

    services: Services
    owner: str
    route: str
    key: str | None
    fingerprint: str

    def with_content(self, content: bytes) -> "IdempotentRequest":
        """The request with ``content`` added to its fingerprint."""
        return replace(self, fingerprint=hashlib.sha256(self.fingerprint.encode() + content).hexdigest())

    def stored_response(self) -> Response | None:
        """The response of the first request with this key; None: this is the first.

        Raises IdempotencyKeyReusedError where another request has the key.
        """
        if self.key is None:
            return None
        with self.services.database.read() as session:
            stored = idempotency.find(session, **self._identity(self.key))
        if stored is None:
            return None
        headers = {"Idempotency-Replayed": "true"} | ({"Location": stored.location} if stored.location else {})
        return Response(stored.body, stored.status, headers, "application/json")

    def store_response(self, session: Session, status: int, body: str, location: str | None = None) -> None:
        """Store the response in the transaction that does the work.

        Raises RequestInProgressError, which rolls all of it back, when another request with this key was faster.
        """
        if self.key is not None:
            idempotency.store(session, **self._identity(self.key), status=status, body=body, location=location)

    def _identity(self, key: str) -> dict[str, Any]:
        return {
            "owner": self.owner,
            "route": self.route,
            "key": key,
            "fingerprint": self.fingerprint,
            "keep_seconds": self.services.settings.idempotency_seconds,
        }


async def _idempotent_stream(request: Request, services: ServicesDep, caller: Writer, key: _Key = None) -> IdempotentRequest:
    """Fingerprint without the body, which a route that reads a stream adds by ``with_content``."""
    route = f"{request.method} {request.scope['route'].path}"
    target = f"{request.url.path}?{request.url.query}"
    key = key.strip('"') if key is not None else None
    return IdempotentRequest(services, caller.owner, route, key, hashlib.sha256(target.encode()).hexdigest())


async def _idempotent(request: Request, keyed: Annotated[IdempotentRequest, Depends(_idempotent_stream)]) -> IdempotentRequest:
    return keyed.with_content(_canonical(await request.body())) if keyed.key is not None else keyed


def _canonical(body: bytes) -> bytes:
    """Equal for JSON texts that differ only in white space and the order of names."""
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):  # a route without a body, or one that will be refused
        return body


Idempotency = Annotated[IdempotentRequest, Depends(_idempotent)]
StreamIdempotency = Annotated[IdempotentRequest, Depends(_idempotent_stream)]
