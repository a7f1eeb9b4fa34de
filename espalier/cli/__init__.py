"""The command line ``espalier``: one file per group of commands, each talking to a service over HTTP.

Exit codes: 0 done, 1 the job failed or was cancelled, 2 the request was refused, 3 the service cannot be reached, 130
interrupted. Everything heavy is imported by the command that needs it, so that ``--help`` is instant.
"""

import sys

import typer

from espalier.cli import apply, convert, jobs, run, serve, submit
from espalier.cli.output import fail
from espalier.errors import ApiError, EspalierError, JobNotSucceeded, Unreachable

app = typer.Typer(
    help="Prune a pretrained language model to a task, as a service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(submit.submit)
app.command()(run.run)
app.command()(run.watch)
app.command("jobs")(jobs.list_jobs)
app.command()(jobs.cancel)
app.command()(jobs.pause)
app.command()(jobs.resume)
app.command()(jobs.retry)
app.command()(jobs.download)
app.command()(apply.apply)
app.command()(convert.convert)


def main() -> None:
    """The program. Turns every planned error into one line on standard error and an exit code."""
    try:
        app()
    except JobNotSucceeded as error:
        fail(str(error), code=1)
    except Unreachable as error:
        fail(f"{error}; is the service running (espalier serve), and is --url right?", code=3)
    except ApiError as error:
        fail(f"{error} ({error.code})", code=3 if error.status >= 500 else 2)
    except (EspalierError, OSError) as error:
        fail(str(error), code=1)
    except KeyboardInterrupt:
        sys.exit(130)
