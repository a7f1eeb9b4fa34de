"""Settings of a process from its environment, or an exit with one line that names variables and values.

Called where the programs of the service start: API, worker, health probe, migrations. The command line formats the same faults.
"""

import sys
from typing import NoReturn

from pydantic import SecretStr, ValidationError

from service.settings import Settings

EXIT_CODE = 2
_LONGEST_VALUE = 80
_SECRET_NAMES = ("key", "password", "secret", "token", "url")
"""Parts of the names of settings whose values are never shown: URLs may hold passwords."""


def settings_or_exit() -> Settings:
    """The environment's settings; the process ends with one line and code 2 where they cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        _exit(format_faults(error))


def format_faults(error: ValidationError) -> str:
    """Every setting at fault with its variable, the value it has, unless that may be secret, and the reason."""
    return "; ".join(
        _format_fault(str(fault["loc"][0]) if fault["loc"] else None, fault["input"], fault["msg"])
        for fault in error.errors()
    )


def _format_fault(name: str | None, value: object, reason: str) -> str:
    reason = reason.removeprefix("Value error, ")
    if name is None:
        return reason  # of several settings, which it names
    variable = f"ESPALIER_{name.upper()}"
    field = Settings.model_fields.get(name)
    secret = field is None or not field.repr or isinstance(value, SecretStr)
    if secret or any(part in name.split("_") for part in _SECRET_NAMES):
        return f"{variable}: {reason}"
    shown = repr(value) if not isinstance(value, (str, int, float)) else repr(str(value))
    return f"{variable}={shown[:_LONGEST_VALUE]}: {reason}"


def _exit(faults: str) -> NoReturn:
    print(f"espalier: settings cannot be used: {faults}", file=sys.stderr)
    sys.exit(EXIT_CODE)
