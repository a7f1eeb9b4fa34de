"""``espalier keys``: API keys, written straight into the service's database, because the first key needs no other key."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli import options
from espalier.cli.output import fail, notify, print_table
from espalier.cli.service_access import DataDir, opened, settings_of_service

if TYPE_CHECKING:
    from service.db.models import ApiKey

app = typer.Typer(help="Create and revoke the API keys of a service on this machine.", no_args_is_help=True)
_SCOPES = ("jobs:read", "jobs:write", "admin")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Purpose of the key, or its holder.")],
    owner: Annotated[
        str,
        typer.Option(
            help="Owner of the jobs that it creates and sees; keys of one owner share them. Default: the embedded user's."
        ),
    ] = "local",
    scope: Annotated[
        list[str] | None, typer.Option(help="jobs:read, jobs:write or admin; may be repeated. Default: the first two.")
    ] = None,
    expires_days: Annotated[float | None, typer.Option(min=0.0, help="Days until it expires; default: never.")] = None,
    data_dir: DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a key and print it, only this once: its digest alone is stored.

    Example: espalier keys create ci --owner team-a --expires-days 90
    """
    if unknown := sorted(set(scope or ()) - set(_SCOPES)):
        raise typer.BadParameter(f"{', '.join(unknown)} is not one of {', '.join(_SCOPES)}", param_hint="--scope")
    from service.access import api_keys

    wanted = [api_keys.Scope(text) for text in scope or _SCOPES[:2]]
    with opened(settings_of_service(data_dir)) as database:
        try:
            with database.write() as session:
                row, key = api_keys.create(session, name=name, owner=owner, scopes=wanted, expires_days=expires_days)
        except ValueError as error:
            fail(str(error), code=2)
    if as_json:
        print(json.dumps({**_as_json(row), "key": key}, indent=2))
        return
    notify(f"key {row.id} of {row.owner}, scopes {row.scopes}; store it now, it cannot be shown again:")
    print(key)


@app.command("list")
def list_keys(data_dir: DataDir = None, as_json: options.AsJson = False) -> None:
    """List keys, newest first; never the keys themselves.

    Example: espalier keys list
    """
    from service.access import api_keys

    with opened(settings_of_service(data_dir)) as database, database.read() as session:
        rows = [_as_json(row) for row in api_keys.list_keys(session)]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "name", "owner", "scopes", "created", "expires", "last used", "revoked", box=None)
    for row in rows:
        times = (row["created_at"], row["expires_at"], row["last_used_at"], row["revoked_at"])
        table.add_row(row["id"], row["name"], row["owner"], " ".join(row["scopes"]), *(_format_minute(time) for time in times))
    print_table(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from: espalier keys list")],
    data_dir: DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Revoke a key, effective at once.

    Example: espalier keys revoke key_01jd3
    """
    from service.access import api_keys
    from service.errors import KeyNotFoundError

    with opened(settings_of_service(data_dir)) as database:
        try:
            with database.write() as session:
                row = api_keys.revoke(session, key)
        except KeyNotFoundError as error:
            fail(str(error), code=2)
    if as_json:
        print(json.dumps(_as_json(row), indent=2))
        return
    notify(f"key {row.id} ({row.name}) is revoked")


def _as_json(row: "ApiKey") -> dict[str, Any]:
    times = {name: getattr(row, name) for name in ("created_at", "expires_at", "last_used_at", "revoked_at")}
    return {
        "id": row.id,
        "name": row.name,
        "owner": row.owner,
        "scopes": row.scopes.split(),
        **{name: time.isoformat().replace("+00:00", "Z") if time is not None else None for name, time in times.items()},
    }


def _format_minute(time: str | None) -> str:
    return "" if time is None else time[:16].replace("T", " ")
