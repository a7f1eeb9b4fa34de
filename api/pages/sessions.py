"""Browser sessions: a sealed cookie with the id of the API key, and the token of the session's forms.

The cookie is sealed with the service's secret key (AES-256-GCM, ``service.access.secrets``): a browser can neither read nor forge
it. It expires after LIFETIME_SECONDS, or earlier with its key, which every request looks up again. Where no keys are required there
is no sign-in: the cookie is a random text, which only ties forms to the browser that loaded them. Called by
``api.pages.access`` and ``signin``.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets as random
import time
from dataclasses import dataclass
from typing import Self

from fastapi import Request, Response

from service.access import secrets
from service.errors import SecretsUnavailableError
from service.settings import Settings
from service.urls import is_loopback

LIFETIME_SECONDS = 12 * 3600
_PURPOSE = ("pages", "session")
"""Name under which the cookie is sealed, distinct from those of stored secrets."""
_NONCE = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True)
class BrowserSession:
    """Session of a browser, as in its cookie."""

    key_id: str | None
    """The API key that was signed in with; None where no keys are required."""
    nonce: str
    """Random, new with every session."""

    @classmethod
    def begin(cls, key_id: str | None = None) -> Self:
        """A new session."""
        return cls(key_id, random.token_urlsafe(24))

    @classmethod
    def from_request(cls, request: Request, settings: Settings) -> Self | None:
        """The session of the cookie of ``request``; None without a cookie, or with an expired or invalid one."""
        text = request.cookies.get(cookie_name(request), "")
        if not settings.keys_required:
            return cls(None, text) if _NONCE.fullmatch(text) else None
        try:
            sealed = base64.urlsafe_b64decode(text.encode())
            content = json.loads(secrets.unseal(settings, *_PURPOSE, sealed)) if len(sealed) > 28 else None
        except (binascii.Error, UnicodeEncodeError, SecretsUnavailableError):
            return None  # sealed with another secret key, or forged
        if content is None or content["expires_at"] < time.time():
            return None
        return cls(content["key_id"], content["nonce"])

    @property
    def form_token(self) -> str:
        """Token that every form of this session carries: unknown to pages of other sites."""
        return hmac.digest(self.nonce.encode(), b"form", hashlib.sha256).hex()

    def store(self, request: Request, response: Response, settings: Settings) -> None:
        """Set the cookie. Raises SecretsUnavailableError where keys are required and there is no secret key."""
        text = self.nonce
        if settings.keys_required:
            content = {"key_id": self.key_id, "nonce": self.nonce, "expires_at": time.time() + LIFETIME_SECONDS}
            text = base64.urlsafe_b64encode(secrets.seal(settings, *_PURPOSE, json.dumps(content))).decode()
        response.set_cookie(
            cookie_name(request),
            text,
            max_age=LIFETIME_SECONDS,
            path="/",
            secure=not _is_local(request),
            httponly=True,
            samesite="strict",
        )


def end(request: Request, response: Response) -> None:
    """Delete the cookie."""
    local = _is_local(request)
    response.delete_cookie(cookie_name(request), path="/", secure=not local, httponly=True, samesite="strict")


def cookie_name(request: Request) -> str:
    """Name of the cookie; beyond loopback one with the ``__Host-`` prefix, which browsers accept only over TLS and from exactly
    this host."""
    return "espalier" if _is_local(request) else "__Host-espalier"


def _is_local(request: Request) -> bool:
    return is_loopback(request.url.hostname or "")
