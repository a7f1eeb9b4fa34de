"""Entry point of the command line ``espalier``: its commands, exit codes and error messages.

Called by the console script and by ``python -m espalier.cli``. Everything heavy is imported by the command that needs it, so
that ``--help`` takes a quarter of a second.
"""

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from espalier.cli import (
    catalog,
    datasets,
    db,
    doctor,
    evaluate,
    exports,
    hub_token,
    job_list,
    job_show,
    jobs,
    keys,
    login,
    masks,
    models,
    predict,
    run,
    serve,
    sweeps,
    uploaded_masks,
    webhooks,
    worker,
)
from espalier.cli.output import accept_every_character, fail
from espalier.errors import ApiError, ConfigurationError, EspalierError, JobNotSucceededError, NotEspalierError, UnreachableError
from espalier.extras import explain

EXIT_CODES = {
    0: "done",
    1: "the job failed or was cancelled, or another error occurred",
    2: "the request was refused, the command line cannot be understood, or an extra that the command needs is not installed",
    3: "the service cannot be reached, or cannot answer at the moment",
    4: "the database is of a later version than this program, which therefore does not migrate it",
    130: "interrupted",
}
_BOOTSTRAP = Path(__file__).parents[2] / "pruning" / "processes" / "bootstrap.py"
"""Makes the names of our packages resolve to this installation, in any working directory."""
_JOBS, _MASKS, _DATA, _SERVICE = "Jobs", "Masks", "Data", "Service"


def _print_version(wanted: bool) -> None:
    if wanted:
        from pruning import __version__

        print(f"espalier {__version__}")
        raise typer.Exit


app = typer.Typer(
    help="Prune a pretrained language model to a task, as a service.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # of every command below it
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and exit.")
    ] = False,
) -> None: ...


app.command(rich_help_panel=_JOBS)(run.run)
app.command(rich_help_panel=_JOBS)(run.submit)
app.command("jobs", rich_help_panel=_JOBS)(job_list.list_jobs)
app.command(rich_help_panel=_JOBS)(job_show.show)
app.command("open", rich_help_panel=_JOBS)(job_show.open_page)
app.command(rich_help_panel=_JOBS)(run.watch)
app.command(rich_help_panel=_JOBS)(jobs.logs)
app.command(rich_help_panel=_JOBS)(jobs.cancel)
app.command(rich_help_panel=_JOBS)(jobs.pause)
app.command(rich_help_panel=_JOBS)(jobs.resume)
app.command(rich_help_panel=_JOBS)(jobs.retry)
app.command(rich_help_panel=_JOBS)(jobs.delete)
app.add_typer(sweeps.app, name="sweep", rich_help_panel=_JOBS)
app.command(rich_help_panel=_MASKS)(jobs.download)
app.command(rich_help_panel=_MASKS)(predict.predict)
app.command(rich_help_panel=_MASKS)(evaluate.evaluate)
app.command(rich_help_panel=_MASKS)(evaluate.evaluations)
app.command(rich_help_panel=_MASKS)(masks.apply)
app.command(rich_help_panel=_MASKS)(exports.export)
app.command(rich_help_panel=_MASKS)(exports.exports)
app.command(rich_help_panel=_MASKS)(masks.convert)
app.add_typer(uploaded_masks.app, name="masks", rich_help_panel=_MASKS)
app.add_typer(datasets.app, name="datasets", rich_help_panel=_DATA)
app.add_typer(models.app, name="models", rich_help_panel=_DATA)
app.command(rich_help_panel=_DATA)(catalog.tasks)
app.command(rich_help_panel=_DATA)(catalog.methods)
app.command(rich_help_panel=_SERVICE)(login.login)
app.command(rich_help_panel=_SERVICE)(login.logout)
app.command(rich_help_panel=_SERVICE)(serve.serve)
app.command(rich_help_panel=_SERVICE)(serve.api)
app.command(rich_help_panel=_SERVICE)(worker.worker)
app.command(rich_help_panel=_SERVICE)(worker.health)
app.command(rich_help_panel=_SERVICE)(doctor.doctor)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=_SERVICE)
app.add_typer(hub_token.app, name="hub-token", rich_help_panel=_DATA)
app.add_typer(keys.app, name="keys", rich_help_panel=_SERVICE)
app.add_typer(db.app, name="db", rich_help_panel=_SERVICE)


def main() -> None:
    """Run the program; an expected error becomes one line on standard error and an exit code."""
    runpy.run_path(str(_BOOTSTRAP))["install"]()  # by its path: until then ``pruning`` may be the user's own package
    accept_every_character()
    try:
        app()
    except JobNotSucceededError as error:
        fail(str(error), code=1)
    except UnreachableError as error:
        fail(f"{error}; is the service running (espalier serve), and is --url right?", code=3)
    except NotEspalierError as error:
        fail(str(error), code=3)
    except ConfigurationError as error:
        options = {"url": "--url or ESPALIER_URL: ", "api_key": "--api-key or ESPALIER_API_KEY: "}
        fail(f"{options.get(error.param, '')}{error}", code=2)
    except ImportError as error:
        if (remedy := explain(error)) is None:
            raise
        fail(f"this command {remedy}", code=2)
    except ApiError as error:
        fail(f"{error} ({error.code})", code=3 if error.status >= 500 else 2)
    except (EspalierError, OSError) as error:
        fail(str(error), code=1)
    except KeyboardInterrupt:
        sys.exit(130)
