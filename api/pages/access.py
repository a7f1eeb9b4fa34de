"""Access to pages: the dependencies ``caller: PageReader`` and ``PageWriter``, and the route class of all pages.

As in ``api.request.auth``, with a session's cookie in place of an API key; the JSON routes read no cookies. A request that changes
something must come from a page of this service (``Sec-Fetch-Site``, ``Origin``) and carry the token of its session. Errors become
pages with the status and the words of the JSON routes, and a browser without a session is redirected to ``/signin``.
"""

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from api.errors.exceptions import ForbiddenError, ForgedFormError, UnauthorizedError
from api.errors.handlers import respond
from api.pages.error_pages import error_page, is_browser
from api.pages.rendering import render
from api.pages.sessions import BrowserSession
from api.request.auth import LOCAL_CALLER, Caller, RequireScope, caller_of_session
from api.request.deps import Services
from api.request.limits import check_request_rate
from api.responses.routing import AuthenticatedRoute
from service.access.api_keys import Scope
from service.db.models import LOCAL

TOKEN_FIELD, TOKEN_HEADER = "form_token", "X-Form-Token"
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class RequirePageScope(RequireScope):
    """A dependency: the caller by the cookie of their session, which has ``scope``."""

    receives_form: bool = False
    """The route receives the form itself, within limits of its own, and calls :func:`require_token` before it does anything."""

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]  # no credentials, which are a JSON route's
        """The caller, authenticated by the route."""
        caller: Caller = request.state.caller
        return caller

    async def authenticate(self, request: Request) -> Caller:
        """Raises UnauthorizedError, ForbiddenError, ForgedFormError, TooManyRequestsError."""
        services: Services = request.app.state.services
        session = BrowserSession.from_request(request, services.settings)
        caller = LOCAL_CALLER
        if services.settings.keys_required:
            if session is None or session.key_id is None:
                raise UnauthorizedError("key_missing", "sign in with an API key")
            caller = await caller_of_session(services, session.key_id)
            await check_request_rate(request, services.token_buckets, caller.key_id or LOCAL)
        if not caller.has_scope(self.scope):
            raise ForbiddenError(self.scope)
        if request.method not in _READING:
            require_same_origin(request)
            if session is None:
                raise ForgedFormError
            if not self.receives_form:
                await _require_own_form(request, session)
        request.state.session = session or BrowserSession.begin()
        return caller


async def _require_own_form(request: Request, session: BrowserSession) -> None:
    """Raises ForgedFormError."""
    given: Any = request.headers.get(TOKEN_HEADER)
    if given is None:
        given = (await request.form()).get(TOKEN_FIELD)
    _require_token(session, given)


def require_token(request: Request, form: FormData) -> None:
    """Refuse a form that the session of ``request`` does not have the token of. Raises ForgedFormError."""
    _require_token(request.state.session, form.get(TOKEN_FIELD))


def _require_token(session: BrowserSession, given: Any) -> None:
    if not isinstance(given, str) or not given.isascii() or not hmac.compare_digest(given, session.form_token):
        raise ForgedFormError


def require_same_origin(request: Request) -> None:
    """Refuse a request of another site's page; browsers declare it in one of two headers. Raises ForgedFormError."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    if site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc != request.headers.get("host")):
        raise ForgedFormError


class PageRoute(AuthenticatedRoute):
    """A route for browsers: errors are pages too, and the cookie of a new session is set."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of ``AuthenticatedRoute``, with errors answered here."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                response = await handle(request)
            except UnauthorizedError as error:
                return _lead_to_signin(request, error) if is_browser(request) else respond(request, error)
            except Exception as error:  # noqa: BLE001 - bugs are raised again
                return error_page(request, error)
            _store_new_session(request, response)
            return response

        return handle_page


def _lead_to_signin(request: Request, error: UnauthorizedError) -> Response:
    """Redirect to the sign-in page, and from there back.

    A request that followed a link on another site carries no SameSite=Strict cookie, whether there is one or not: such a page
    is loaded once more from here.
    """
    root, path = request.scope.get("root_path", ""), request.url.path
    target = f"{path}?{request.url.query}" if request.url.query else path
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site") and request.method == "GET":
        return render(request, "reload.html", target=target)
    back = target if request.method == "GET" and "hx-request" not in request.headers else f"{root}/"
    reason = "" if error.code == "key_missing" else f"&reason={error.code}"
    signin = f"{root}/signin?next={quote(back)}{reason}"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": signin, "Cache-Control": "no-store"})
    return RedirectResponse(signin, 303, headers={"Cache-Control": "no-store"})


def _store_new_session(request: Request, response: Response) -> None:
    """The cookie of a session that began with this request, where no keys are required."""
    settings = request.app.state.services.settings
    session = getattr(request.state, "session", None)
    if session is not None and not settings.keys_required and BrowserSession.from_request(request, settings) is None:
        session.store(request, response, settings)


PageReader = Annotated[Caller, Depends(RequirePageScope(Scope.READ))]
PageWriter = Annotated[Caller, Depends(RequirePageScope(Scope.WRITE))]
PageUploader = Annotated[Caller, Depends(RequirePageScope(Scope.WRITE, receives_form=True))]
"""Like PageWriter, for a route that receives the form itself."""
PageAdmin = Annotated[Caller, Depends(RequirePageScope(Scope.ADMIN))]
