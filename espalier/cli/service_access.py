"""Access to the service itself, by its settings and database, for the commands that do not go through its HTTP interface.

Called by ``serve``, ``api``, ``worker``, ``keys``, ``db`` and ``doctor``, the only commands that import the service's own
packages. They import them when they are called: ``--help`` stays fast, and :func:`espalier.cli.main.main` has by then made
sure that the packages are ours.
"""

import configparser
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from espalier.cli.output import fail, notify
from espalier.cli.running import RunningService, running_services
from espalier.errors import EspalierError

if TYPE_CHECKING:
    from service.db.engine import Database
    from service.settings import Settings

EXPLICIT = ("ESPALIER_DATABASE_URL", "ESPALIER_DATA_DIR")
"""Variables that identify a service."""
_AWS_FILE = "AWS_SHARED_CREDENTIALS_FILE"
_AWS_NAMES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded service, as given to: espalier serve")]


def read_settings(**given: object) -> "Settings":
    """The environment's settings with the options over them; the program ends with a message when they are invalid."""
    settings, faults = settings_or_faults(**given)
    if settings is None:
        fail(f"settings cannot be used: {faults}", code=2)
    return settings


def settings_or_faults(**given: object) -> "tuple[Settings | None, str]":
    """The settings, or None with what is wrong: a message that names variables and their values, unless these may be secret."""
    from pydantic import ValidationError

    from service.environment import format_faults
    from service.settings import Settings

    try:
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return Settings(**options), ""
    except ValidationError as error:
        return None, format_faults(error)


def service_log(role: str, *, console: bool = False) -> Callable[[str], None]:
    """Configure the log of this process, and return the function that shows a line to the user: in JSON as a line of the log.

    ``console``: unless a setting asks for JSON, whether or not there is a terminal. To be called before the settings are read,
    which may log.
    """
    from service.log_format import configure
    from service.log_settings import log_settings

    settings = log_settings()
    if console and settings.log_format is None:
        settings = settings.model_copy(update={"log_format": "console"})
    configure(role, settings)
    log = logging.getLogger(__name__)
    return notify if settings.console else lambda message: log.info("%s", message.strip())


def settings_of_service(data_dir: Path | None) -> "Settings":
    """Settings of the selected service: the one of ``data_dir`` or the environment, else the one that runs on this machine.

    The program ends with a message when several run and none is selected.
    """
    settings = read_settings(data_dir=data_dir)
    running = find_running_service(data_dir)
    if running is None or running.data_dir == settings.data_dir:
        return settings
    notify(f"using the service at {running.url} (data in {running.data_dir})")
    return read_settings(data_dir=running.data_dir)


def find_running_service(data_dir: Path | None) -> RunningService | None:
    """The one service that runs on this machine, where neither ``data_dir`` nor the environment names another."""
    if data_dir is not None or any(os.environ.get(name) for name in EXPLICIT):
        return None
    services = list(running_services())
    if len(services) > 1:
        found = "; ".join(f"{service.url} with --data-dir {shlex.quote(str(service.data_dir))}" for service in services)
        fail(f"several services run on this machine; choose one with --data-dir: {found}", code=2)
    return services[0] if services else None


def overrides(settings: "Settings") -> dict[str, str]:
    """Environment variables that give a child process the settings of this one."""
    names = ["host", "port", "data_dir", "worker_slots"]
    # values that were read from a file are not put into variables
    names += [name for name in ("database_url", "broker_url") if getattr(settings, f"{name}_file") is None]
    return {f"ESPALIER_{name.upper()}": str(getattr(settings, name)) for name in names} | {"PYTHONUNBUFFERED": "1"}


def become(module: Sequence[str], environment: Mapping[str, str], drop_to: "Settings | None" = None) -> NoReturn:
    """Turn this process into one of the service's own modules with its arguments, so that signals reach that directly.

    As the user whom ``drop_to`` names, if it names one; the program ends with a message when that is not possible.
    """
    from pruning.processes.bootstrap import python_command

    command = python_command(*module)
    sys.stdout.flush()
    sys.stderr.flush()
    variables: Mapping[str, str] = os.environ | environment
    if drop_to is not None and drop_to.run_as is not None:
        variables = _as_other_user(drop_to.run_as, drop_to, variables)
    os.execve(command[0], command, variables)  # noqa: S606 - our own interpreter, no shell


def _as_other_user(run_as: str, settings: "Settings", variables: Mapping[str, str]) -> dict[str, str]:
    """Become another user permanently; returns ``variables`` with the content of files that this user cannot read.

    A worker whose trainers are a third user becomes a member of their group, and keeps the capabilities to start them.
    """
    from pruning.processes.user_switch import become_user

    read = {f"ESPALIER_{name.upper()}": getattr(settings, name) for name in ("database_url", "broker_url")}
    trainers = settings.trainer_ids
    try:
        if settings.secret_key is None and settings.secret_key_file is not None:
            read["ESPALIER_SECRET_KEY"] = settings.secret_key_file.read_text("ascii").strip()
        read |= _storage_credentials(variables)
        user, group = map(int, run_as.split(":"))
        become_user(user, group, [] if trainers is None else [trainers[1]], keep_switching=trainers is not None)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        fail(f"ESPALIER_RUN_AS={run_as} is not possible: {error}; start the service as root for it", code=2)
    files = {f"{name}_FILE" for name in read} | {_AWS_FILE}
    return {name: value for name, value in variables.items() if name not in files} | read


def _storage_credentials(variables: Mapping[str, str]) -> dict[str, str]:
    """Credentials of the object storage from the AWS SDK's own file, as the SDK's variables; none from a file without any.

    Raises OSError, UnicodeDecodeError, configparser.Error.
    """
    if not variables.get(_AWS_FILE):
        return {}
    parser = configparser.RawConfigParser()
    parser.read_string(Path(variables[_AWS_FILE]).read_text("utf-8"))
    profile = variables.get("AWS_PROFILE") or "default"
    given = parser[profile] if parser.has_section(profile) else {}
    return {name.upper(): given[name] for name in _AWS_NAMES if given.get(name)}


def migrate(settings: "Settings") -> None:
    """Bring the database to the schema of this version; exits where it is of a later one. Raises EspalierError for every error of
    the database."""
    from service.db.migrate import SCHEMA_NEWER_EXIT_CODE, SchemaNewerError, upgrade

    try:
        upgrade(settings.database_url)
    except SchemaNewerError as error:
        fail(str(error), code=SCHEMA_NEWER_EXIT_CODE)
    except Exception as error:
        raise EspalierError(f"the database cannot be prepared: {error}") from error


@contextmanager
def opened(settings: "Settings") -> Iterator["Database"]:
    """The service's database. Raises EspalierError when it cannot be used or is not at the schema of this version."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.db.engine import Database
    from service.db.migrate import is_current
    from service.urls import missing_database_file

    if (file := missing_database_file(settings.database_url)) is not None:
        raise EspalierError(
            f"there is no database {file}; give the --data-dir of espalier serve, or create one with: espalier db upgrade"
        )
    database = Database(settings.database_url)
    try:
        if not is_current(database):
            raise EspalierError("the database is not at the schema of this version; run: espalier db upgrade")
        yield database
    except SQLAlchemyError as error:
        raise EspalierError(f"the database cannot be used: {error}") from error
    finally:
        database.dispose()
