"""``espalier db``: schema migrations of the service's database."""

import typer

from espalier.cli.service_access import DataDir, migrate, read_settings, service_log

app = typer.Typer(help="Look after the database of a service on this machine.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps ``upgrade`` a command of its own: Typer would make a single command the group itself."""


@app.command()
def upgrade(data_dir: DataDir = None) -> None:
    """Bring the database to the schema of this version. espalier serve does so by itself.

    Settings come from ESPALIER_… variables. Example: espalier db upgrade
    """
    notify = service_log("migrate")
    migrate(read_settings(data_dir=data_dir))
    notify("the database is at the schema of this version")
