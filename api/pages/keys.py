"""Page of the API keys of a service, for administrators: list, create, revoke.

The web version of ``espalier keys``. A key is shown once, in the response that creates it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request, Response

from api.pages.access import PageAdmin, PageRoute
from api.pages.forms import redirect
from api.pages.rendering import render
from api.request.auth import Caller
from api.request.deps import Services, ServicesDep
from service.access import api_keys
from service.access.api_keys import Scope

router = APIRouter(prefix="/keys", include_in_schema=False, route_class=PageRoute)
KeyId = Annotated[str, Path(pattern=r"^key_[0-9a-z]{1,36}$")]
_MAX_DAYS = 36_500


@router.get("")
def keys_page(request: Request, services: ServicesDep, caller: PageAdmin) -> Response:
    """All keys, newest first, and the form for another."""
    return _page(request, services, caller)


@router.post("")
def create(
    request: Request,
    services: ServicesDep,
    caller: PageAdmin,
    name: Annotated[str, Form(max_length=200)] = "",
    owner: Annotated[str, Form(max_length=200)] = "",
    scopes: Annotated[list[str], Form(alias="scope", max_length=10)] = [],  # noqa: B006 - FastAPI copies it
    expires_days: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """The page with the new key, shown once; or with the fault."""
    given = {"name": name, "owner": owner, "scopes": scopes, "expires_days": expires_days}
    try:
        wanted, days = [Scope(text) for text in scopes], _days(expires_days)
        with services.database.write() as session:
            row, key = api_keys.create(session, name=name.strip(), owner=owner.strip(), scopes=wanted, expires_days=days)
            made = {"id": row.id, "owner": row.owner, "scopes": row.scopes, "key": key}
    except ValueError as error:
        return _page(request, services, caller, 422, refusal=str(error), given=given)
    return _page(request, services, caller, made=made)


@router.post("/{key_id}/revoke")
def revoke(key_id: KeyId, request: Request, services: ServicesDep, _: PageAdmin) -> Response:
    """Revoke a key and the sessions that were started with it."""
    with services.database.write() as session:
        api_keys.revoke(session, key_id)
    return redirect(request, "/keys")


def _page(
    request: Request,
    services: Services,
    caller: Caller,
    status: int = 200,
    *,
    made: dict[str, str] | None = None,
    refusal: str = "",
    given: dict[str, Any] | None = None,
) -> Response:
    with services.database.read() as session:
        keys = api_keys.list_keys(session)
    empty = {"name": "", "owner": caller.owner, "scopes": [Scope.READ, Scope.WRITE], "expires_days": ""}
    return render(
        request,
        "keys.html",
        status,
        keys=keys,
        made=made,
        refusal=refusal,
        given=given or empty,
        scopes=[*Scope],
        own_id=caller.key_id,
    )


def _days(text: str) -> float | None:
    """Raises ValueError."""
    if not text.strip():
        return None
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= _MAX_DAYS:
        raise ValueError(f"days until it expires must be a number above 0 and at most {_MAX_DAYS}, or empty for never")
    return days
