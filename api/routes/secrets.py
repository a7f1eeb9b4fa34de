"""Secret routes: set, inspect and delete the hub token that the caller's own jobs use; no response ever contains it."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.errors.problems import problem_responses
from api.request.auth import Reader, Writer
from api.request.deps import ServicesDep
from api.responses.routing import AuthenticatedRoute
from service.access import secrets
from service.access.secrets import HUB_TOKEN

router = APIRouter(prefix="/v1/secrets", tags=["secrets"], route_class=AuthenticatedRoute)


class SecretValue(BaseModel):
    """Request body with a secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": "hf_theTokenOfYourAccount"}]})

    value: str = Field(
        min_length=8,
        max_length=512,
        pattern=r"^[A-Za-z0-9._~+/=-]+$",  # of RFC 6750; worker.run.pipes relies on it
        repr=False,
        description="The token; never shown again",
        json_schema_extra={"writeOnly": True, "format": "password"},
    )


class SecretState(BaseModel):
    """Public part of a secret."""

    name: str
    set: bool
    set_at: datetime | None


@router.put("/hub_token", operation_id="putHubToken", responses=problem_responses(400, 413, 415, 422), summary="Set the hub token")
def put_hub_token(request: SecretValue, services: ServicesDep, caller: Writer) -> SecretState:
    """Stored encrypted, passed to the caller's own jobs, never shown again. 503 where the service has no secret key."""
    with services.database.write() as session:
        time = secrets.put(session, services.settings, caller.owner, HUB_TOKEN, request.value)
    return SecretState(name=HUB_TOKEN, set=True, set_at=time)


@router.get("/hub_token", operation_id="getHubToken", responses=problem_responses(), summary="Whether a hub token is set")
def get_hub_token(services: ServicesDep, caller: Reader) -> SecretState:
    """Returns whether and since when; never the token."""
    with services.database.read() as session:
        time = secrets.set_at(session, caller.owner, HUB_TOKEN)
    return SecretState(name=HUB_TOKEN, set=time is not None, set_at=time)


@router.delete(
    "/hub_token", operation_id="deleteHubToken", status_code=204, responses=problem_responses(), summary="Delete the hub token"
)
def delete_hub_token(services: ServicesDep, caller: Writer) -> None:
    """A running job keeps its copy until it ends."""
    with services.database.write() as session:
        secrets.delete(session, caller.owner, HUB_TOKEN)
