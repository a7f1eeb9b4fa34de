"""Pages to sign in with an API key and to sign out again, where keys are required."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.errors.exceptions import ForbiddenError, UnauthorizedError
from api.errors.handlers import respond
from api.pages.access import PageReader, PageRoute, require_same_origin
from api.pages.error_pages import error_page
from api.pages.forms import redirect
from api.pages.rendering import render
from api.pages.sessions import BrowserSession, end
from api.request.auth import caller_of_key, caller_of_session
from api.request.deps import Services, ServicesDep
from api.request.limits import check_request_rate
from service.access.api_keys import Scope
from service.db.models import LOCAL

router = APIRouter(include_in_schema=False)
sessions = APIRouter(include_in_schema=False, route_class=PageRoute)
_REASONS = {
    "key_revoked": "The API key of your session was revoked.",
    "key_expired": "The API key of your session has expired.",
    "key_unknown": "The API key of your session was deleted.",
}
Next = Annotated[str, Query(max_length=2000)]


@router.get("/signin")
async def signin_page(
    request: Request,
    services: ServicesDep,
    next: Next = "",  # noqa: A002 - the parameter's name in the URL
    reason: Annotated[str, Query(max_length=40)] = "",
    stored: bool = False,
) -> Response:
    """The form; a browser with a session, or a service without keys, is redirected."""
    target = _inside(request, next)
    if not services.settings.keys_required or await _is_signed_in(request, services):
        return RedirectResponse(target, 303, headers={"Cache-Control": "no-store"})
    return render(request, "signin.html", next=target, reason=_REASONS.get(reason, ""), not_stored=stored, refusal="")


@router.post("/signin")
async def signin(
    request: Request,
    services: ServicesDep,
    key: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",  # noqa: A002 - the field's name
) -> Response:
    """Exchange an API key for a session. The key is in no page, cookie or log."""
    target = _inside(request, next)
    if not services.settings.keys_required:
        return RedirectResponse(target, 303)
    try:
        require_same_origin(request)
        caller = await caller_of_key(services, key.strip())
        await check_request_rate(request, services.token_buckets, caller.key_id or LOCAL)
        if not caller.has_scope(Scope.READ):
            raise ForbiddenError(Scope.READ)
        root = request.scope.get("root_path", "")
        response = RedirectResponse(f"{root}/signin?stored=true&next={quote(target)}", 303)
        BrowserSession.begin(caller.key_id).store(request, response, services.settings)
    except UnauthorizedError as error:
        status = respond(request, error).status_code
        return render(request, "signin.html", status, next=target, reason="", not_stored=False, refusal=str(error))
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        return error_page(request, error)
    return response


@sessions.post("/signout")
async def signout(request: Request, _: PageReader) -> Response:
    """End the session of this browser."""
    response = redirect(request, "/signin")
    end(request, response)
    return response


async def _is_signed_in(request: Request, services: Services) -> bool:
    session = BrowserSession.from_request(request, services.settings)
    if session is None or session.key_id is None:
        return False
    try:
        await caller_of_session(services, session.key_id)
    except UnauthorizedError:
        return False
    return True


def _inside(request: Request, target: str) -> str:
    """``target`` if it is a path of this service, else its first page: so that no link can redirect to another site."""
    root: str = request.scope.get("root_path", "")
    if target.startswith(f"{root}/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return f"{root}/"
