"""API keys stored by ``espalier login``, one per service, in a file that only its user can read.

Called wherever a command needs the key of a service and none is given. The file is ``espalier/keys.json`` in the user's folder
for configuration. No message repeats a key.
"""

import json
import os
from pathlib import Path

from espalier.cli.options import read_secret
from espalier.errors import EspalierError

_PRIVATE = 0o077
"""Bits of a file's mode that other users have."""


def key_for(url: str, given: str | None) -> str | None:
    """The key for requests to ``url``: the one that is given (``@FILE``: what that file holds), else the stored one.

    Raises typer.BadParameter for a file that cannot be read, EspalierError for stored keys that cannot be used.
    """
    if given is None:
        return stored_key(url)
    return read_secret(given, "--api-key") if given.startswith("@") else given


def stored_key(url: str) -> str | None:
    """The stored key of the service at ``url``. Raises EspalierError."""
    file = key_file()
    return _read(file).get(_service(url)) if file.exists() else None


def store_key(url: str, key: str) -> Path:
    """Keep ``key`` for the service at ``url``; the file that holds it. Raises EspalierError, OSError."""
    file = key_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(file, {**(_read(file) if file.exists() else {}), _service(url): key})
    return file


def forget_key(url: str) -> bool:
    """Drop the key of the service at ``url``; whether there was one. Raises EspalierError, OSError."""
    file = key_file()
    keys = _read(file) if file.exists() else {}
    if keys.pop(_service(url), None) is None:
        return False
    if keys:
        _write(file, keys)
    else:
        file.unlink()
    return True


def key_file() -> Path:
    """File of the stored keys."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "espalier" / "keys.json"


def _read(file: Path) -> dict[str, str]:
    remedy = "delete it, and create it again with: espalier login"
    try:
        if file.stat().st_mode & _PRIVATE:
            raise EspalierError(f"other users may read the API keys in {file}; run: chmod 600 {file}")
        held = json.loads(file.read_bytes())
    except OSError as error:
        raise EspalierError(f"the API keys in {file} cannot be read: {error.strerror}") from error
    except ValueError:  # the error quotes the file
        raise EspalierError(f"the API keys in {file} cannot be read: it is not JSON; {remedy}") from None
    if not isinstance(held, dict) or not all(isinstance(key, str) for key in held.values()):
        raise EspalierError(f"{file} does not hold API keys; {remedy}")
    return held


def _write(file: Path, keys: dict[str, str]) -> None:
    from pruning.files import atomic_write

    with atomic_write(file, mode=0o600) as draft:
        draft.write_text(json.dumps(keys, indent=2), "utf-8")


def _service(url: str) -> str:
    """One spelling of an address: host in lower case, no default port, no slash at the end."""
    import httpx

    from espalier.client.connection import checked_url

    return str(httpx.URL(checked_url(url))).rstrip("/")
