"""``espalier login`` and ``espalier logout``: keep the API key of a service for this user's further commands."""

import sys

from espalier.cli.credentials import forget_key, key_for, store_key
from espalier.cli.options import read_secret
from espalier.cli.output import notify
from espalier.cli.service_context import ServiceContext, with_service
from espalier.errors import ApiError

_OTHER_SCOPE = 403
"""Status of a request that the key is good for a service, but not for this."""


@with_service
def login(context: ServiceContext) -> None:
    """Keep an API key for the service at --url, so that no command has to name it. The key is asked for, or read from
    standard input, and tried before it is stored; the file is readable by you alone.

    Example: espalier login --url https://espalier.example
    """
    key = key_for(context.url, context.api_key) if context.api_key is not None else _ask(context.url)
    with ServiceContext(context.url, key, as_json=False).client() as client:
        try:
            client.page(limit=1)
        except ApiError as error:
            if error.status != _OTHER_SCOPE or error.code != "scope_missing":
                raise
    assert key is not None  # noqa: S101 - for the type checker: it was given or read
    file = store_key(context.url, key)
    context.print_line(f"the key for {context.url} is in {file}", {"url": context.url, "file": str(file)})


@with_service
def logout(context: ServiceContext) -> None:
    """Forget the stored API key of the service at --url. The key itself stays good: espalier keys revoke ends it.

    Example: espalier logout --url https://espalier.example
    """
    was_there = forget_key(context.url)
    line = f"the key for {context.url} is forgotten" if was_there else f"no key for {context.url} was stored"
    context.print_line(line, {"url": context.url, "forgotten": was_there})


def _ask(url: str) -> str:
    if not sys.stdin.isatty():
        return read_secret(None, "standard input")
    import getpass

    notify(f"API key for {url}; espalier keys create makes one where the service runs")
    return getpass.getpass("key (not shown): ").strip()
