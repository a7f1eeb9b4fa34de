"""Settings of a process from its environment, or an exit with one line that names variables and values.

Called where the programs of the service start: API, worker, health probe, migrations. The command line formats the same faults.
A variable that looks like a setting but is not one has no effect; long-running programs log it at their start.
"""

import difflib
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, ValidationError

from service.redaction import hide
from service.setting_values import is_service_link
from service.settings import Settings
from service.urls import unchecked_tls

EXIT_CODE = 2
_LONGEST_VALUE = 80
_SECRET_NAMES = ("key", "password", "secret", "token", "url")
"""Name parts of settings whose values are never shown: URLs may hold passwords."""
_PREFIX = "ESPALIER_"
_OTHERS = frozenset(
    "URL API_KEY "  # of the command line
    "WORKER_MEMORY API_MEMORY API_CPUS POSTGRES_MEMORY POSTGRES_CPUS GRAFANA_PORT "  # of docker-compose.yml
    "CRASH_AT CRASH_ONCE CRASH_WITH TEST_POSTGRES_URL TEST_REDIS_URL TEST_DATA".split()  # of the tests
)
"""Variables with our prefix that are not settings of the service, without the prefix."""
_SERVICE_LINK = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.ASCII)
_SIMILAR = 0.6
"""Least similarity of a suggested name: DB_URL finds DATABASE_URL, unrelated names find nothing."""
log = logging.getLogger(__name__)


def settings_or_exit() -> Settings:
    """The environment's settings; the process ends with one line and code 2 where they cannot be used."""
    try:
        settings = Settings()
    except ValidationError as error:
        _exit(format_faults(error))
    for secret in _secrets_of(settings):
        hide(secret)
    return settings


def _secrets_of(settings: Settings) -> Iterator[str]:
    """What must not be in a log line even where a library quotes it alone: passwords, the secret key, a collector's token."""
    if settings.secret_key is not None:
        yield settings.secret_key.get_secret_value()
    for url in (settings.database_url, settings.broker_url):
        if (password := urlsplit(url).password) is not None:
            yield from (password, unquote(password))
    if settings.otlp_endpoint is not None:
        yield urlsplit(settings.otlp_endpoint).path.strip("/")


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like settings and have no effect, each with a message that suggests the most similar setting. Empty ones

    are left out, and those that Kubernetes sets in containers next to a Service named ``espalier…``.
    """
    known = {name.upper() for name in Settings.model_fields}
    found = {}
    for variable, value in environment.items():
        name = variable.upper().removeprefix(_PREFIX)  # the case of names does not matter
        if name == variable.upper() or name in known | _OTHERS or not value or _is_service_link(name, value):
            continue
        similar = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_SIMILAR)
        meant = f"did you mean {_PREFIX}{similar[0]}?" if similar else "docs/reference/settings.md has all settings"
        found[variable] = f"{variable} is not a setting and has no effect; {meant}"
    return found


def warn_of_settings(settings: Settings, environment: Mapping[str, str]) -> None:
    """A warning in the log for each of :func:`unknown_variables`, and for a broker whose certificate is not checked."""
    for line in unknown_variables(environment).values():
        log.warning("%s", line)
    if unchecked := unchecked_tls(settings.broker_url):
        log.warning("ESPALIER_BROKER_URL: %s", unchecked)


def _is_service_link(name: str, value: str) -> bool:
    return (name.endswith("_PORT") and is_service_link(value)) or _SERVICE_LINK.fullmatch(name) is not None


def format_faults(error: ValidationError) -> str:
    """Every setting at fault with its variable, the value it has, unless that may be secret, and the reason."""
    return "; ".join(
        _format_fault(str(fault["loc"][0]) if fault["loc"] else None, fault["input"], fault["msg"]) for fault in error.errors()
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
