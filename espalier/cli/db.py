"""``espalier db``: schema migrations of the service's database, and whether all that it names is there."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from espalier.cli import options
from espalier.cli.output import fail, notify, print_json
from espalier.cli.service_access import DataDir, migrate, opened, read_settings, service_log

app = typer.Typer(help="Look after the database of a service on this machine.", no_args_is_help=True)
_SHOWN = 20
"""Names of leftover objects that are printed; JSON has all."""


@app.command()
def upgrade(data_dir: DataDir = None) -> None:
    """Bring the database to the schema of this version. espalier serve does so at its start.

    Settings come from ESPALIER_… variables. Example: espalier db upgrade
    """
    log = service_log("migrate")
    migrate(read_settings(data_dir=data_dir))
    log("the database is at the schema of this version")


@app.command()
def check(
    digests: Annotated[bool, typer.Option("--digests", help="Read every byte and compare SHA-256, not the sizes alone.")] = False,
    data_dir: DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Look whether every stored file, and every object that a row names, is there; whether the secret key opens the secrets; and
    which objects of ESPALIER_STORAGE_URL no row needs, so that workers will delete them.

    Exits with 1 when something is missing or differs. Changes nothing; the service may run. Example: espalier db check --digests
    """
    from service.errors import StorageUnavailableError
    from service.operations.consistency import count_files, find_inconsistencies, find_leftovers

    settings = read_settings(data_dir=data_dir)
    with opened(settings) as database:
        try:
            files = count_files(database)
            found = list(find_inconsistencies(database, settings, digests=digests))
            leftovers = list(find_leftovers(database, settings))
        except StorageUnavailableError as error:
            fail(f"{error} Correct ESPALIER_STORAGE_URL or the AWS_… variables; see: espalier doctor --local", code=3)
    if as_json:
        inconsistencies = [asdict(each) for each in found]
        print_json(json.dumps({"files": files, "inconsistencies": inconsistencies, "leftovers": leftovers}, indent=2))
    else:
        for each in found:
            print(f"{each.what}: {each.problem}")
        for name in leftovers[:_SHOWN]:
            print(f"object {name}: no row needs it")
        notify(f"{files} files, {len(found)} inconsistencies; {len(leftovers)} objects that no row needs, which workers delete")
    if found:
        sys.exit(1)
