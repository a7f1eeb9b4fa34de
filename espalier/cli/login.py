"""``espalier login`` and ``espalier logout``: storage of the API key of a service for this user's commands."""

import sys

from espalier.cli.credentials import forget_key, key_for, store_key
from espalier.cli.options import read_secret
from espalier.cli.output import notify
from espalier.cli.service_context import ServiceContext, with_service
from espalier.errors import ApiError

_OTHER_SCOPE = 403
"""Status for a valid key without the scope of the request."""


@with_service
def login(context: ServiceContext) -> None:
    """Store an API key for the service at --url, so that no command has to name it. The key is read from a prompt or
    from standard input and tried before it is stored; the file is readable by you alone.

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
    context.print_line(f"the key for {context.url} is stored in {file}", {"url": context.url, "file": str(file)})


@with_service
def logout(context: ServiceContext) -> None:
    """Delete the stored API key of the service at --url. The key itself stays valid: espalier keys revoke ends it.

    Example: espalier logout --url https://espalier.example
    """
    was_there = forget_key(context.url)
    line = f"the key for {context.url} is deleted" if was_there else f"no key for {context.url} was stored"
    context.print_line(line, {"url": context.url, "forgotten": was_there})


def _ask(url: str) -> str:
    if not sys.stdin.isatty():
        return read_secret(None, "standard input")
    import getpass

    notify(f"API key for {url}; create one on the service's machine with: espalier keys create")
    return getpass.getpass("key (not shown): ").strip()
