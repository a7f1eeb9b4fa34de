"""``espalier hub-token``: the token with which your jobs read private and gated models of the hub, stored by the service."""

import sys
from typing import Annotated

import typer

from espalier.cli.options import read_secret
from espalier.cli.output import notify
from espalier.cli.service_context import ServiceContext, with_service

app = typer.Typer(help="Store the token that your jobs read private models of the hub with.", no_args_is_help=True)


@app.command("set")
@with_service
def set_token(
    context: ServiceContext,
    token: Annotated[
        str | None, typer.Argument(metavar="@FILE", help="File that holds it; default: standard input, or asked for on a terminal.")
    ] = None,
) -> None:
    """Store a token, encrypted; it is never shown again. The token itself is not an argument, because other users can see the
    arguments of a command.

    Example: espalier hub-token set @token.txt
    """
    if token is not None and not token.startswith("@"):
        raise typer.BadParameter("give @FILE, or the token on standard input", param_hint="@FILE")
    if token is None and sys.stdin.isatty():
        value = typer.prompt("Hub token", hide_input=True, err=True).strip()
    else:
        value = read_secret(token, "@FILE")
    with context.client() as client:
        state = client.set_hub_token(value)
    if context.as_json:
        context.print_resource(state, "")
    else:
        notify("the hub token is stored; jobs that start from now on use it")


@app.command()
@with_service
def show(context: ServiceContext) -> None:
    """Show whether a token is stored, and since when; never the token.

    Example: espalier hub-token show
    """
    with context.client() as client:
        state = client.hub_token()
    since = f" since {state.set_at:%Y-%m-%d %H:%M} UTC" if state.set_at is not None else ""
    context.print_resource(state, f"stored{since}" if state.set else "no token is stored")


@app.command()
@with_service
def delete(context: ServiceContext) -> None:
    """Delete the token; a running job keeps its copy until it ends.

    Example: espalier hub-token delete
    """
    with context.client() as client:
        client.delete_hub_token()
    context.print_line("the hub token is deleted", {"deleted": True})
