"""Page of the hub token of an owner: whether one is set, set another, remove it. No page shows the token."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from api.pages.access import PageReader, PageRoute, PageWriter
from api.pages.error_pages import refusal_of
from api.pages.forms import parse_body, redirect
from api.pages.rendering import render
from api.request.deps import ServicesDep
from api.routes import secrets
from api.routes.secrets import SecretValue

router = APIRouter(prefix="/hub-token", include_in_schema=False, route_class=PageRoute)


@router.get("")
def hub_token_page(request: Request, services: ServicesDep, caller: PageReader) -> Response:
    """Whether a token is set, and since when."""
    return render(request, "hub_token.html", state=secrets.get_hub_token(services, caller), refusal="")


@router.post("")
def put(request: Request, services: ServicesDep, caller: PageWriter, value: Annotated[str, Form()] = "") -> Response:
    """Store a token in the place of the former; or the page with the refusal of the API."""
    try:
        secrets.put_hub_token(parse_body(SecretValue, {"value": value.strip()}), services, caller)
    except Exception as error:  # noqa: BLE001 - bugs are raised again
        status, refusal = refusal_of(request, error)
        return render(request, "hub_token.html", status, state=secrets.get_hub_token(services, caller), refusal=refusal)
    return redirect(request, "/hub-token")


@router.post("/delete")
def delete(request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Delete the token."""
    secrets.delete_hub_token(services, caller)
    return redirect(request, "/hub-token")
