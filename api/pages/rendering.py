"""Rendering of pages: the Jinja2 environment, the context of every template, and the headers of every page.

All text is escaped; no template disables that. The Content-Security-Policy allows only files of this service: pages contain no
script or style.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from api.pages.assets import asset_url
from api.pages.job_summary import FILTERS
from pruning import __version__
from pruning.report.rendering import template_environment
from service.access.api_keys import Scope
from service.states import TERMINAL

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie, HX-Request",
}
NAVIGATION = (
    ("/", "Jobs", Scope.READ),
    ("/new", "New job", Scope.WRITE),
    ("/datasets", "Data sets", Scope.READ),
    ("/models", "Models", Scope.READ),
    ("/sweeps", "Sweeps", Scope.READ),
    ("/webhooks", "Webhooks", Scope.READ),
    ("/hub-token", "Hub token", Scope.READ),
    ("/keys", "Keys", Scope.ADMIN),
)
"""Path, name and scope of the pages in the navigation."""
_AGES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def render(request: Request, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A page, or a fragment of one, from a template in ``templates/``."""
    return HTMLResponse(render_text(request, template, **values), status, headers=HEADERS)


def render_text(request: Request, template: str, /, **values: Any) -> str:
    """The text of a template. In addition to ``values`` its context has ``page``, the properties of the request."""
    return _ENVIRONMENT.get_template(template).render(values, page=_page(request))


def _page(request: Request) -> dict[str, Any]:
    caller = getattr(request.state, "caller", None)
    session = getattr(request.state, "session", None)
    settings = request.app.state.services.settings
    return {
        "root": request.scope.get("root_path", ""),
        "path": request.url.path,
        "origin": f"{request.url.scheme}://{request.url.netloc}",
        "caller": caller,
        "may_write": caller is not None and caller.has_scope(Scope.WRITE),
        "is_admin": caller is not None and caller.has_scope(Scope.ADMIN),
        "keys_required": settings.keys_required,
        "form_token": session.form_token if session is not None else "",
        "version": __version__,
        "now": datetime.now(UTC),
    }


def age(moment: datetime, now: datetime) -> str:
    """How long ago: ``3 min ago``; ``in 5 s`` for a time in the future."""
    seconds = (now - moment).total_seconds()
    unit, length = next(((unit, length) for unit, length in _AGES if abs(seconds) >= length), _AGES[-1])
    count = round(abs(seconds) / length)
    if count == 0:
        return "now"
    return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"


def _environment() -> Environment:
    environment = template_environment(Path(__file__).parent / "templates")
    environment.filters |= FILTERS | {
        "age": age,
        "exact": lambda moment: f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        "as_json": lambda value: json.dumps(value, ensure_ascii=False),
    }
    environment.globals |= {"asset": asset_url, "NAVIGATION": NAVIGATION, "TERMINAL": TERMINAL}
    return environment


_ENVIRONMENT = _environment()
