"""Hub access of a trainer: the owner's token, and a download cache that owners do not share.

Called by ``worker.run.preparation``. The token is passed in a file of the attempt's folder, which is removed with it; never on the
command line or in the environment, which other processes can read. Owners with a token have caches of their own: while the
hub is unreachable, its cache serves private files to anyone.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from service.access import secrets
from service.db.models import LOCAL
from worker.context import Context

_FILE = "hub-token"
_CACHES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE")
"""Variables that take precedence over ``HF_HOME``."""


def load_hub_token(context: Context, owner: str) -> str | None:
    """The owner's token; None if they have set none or the hub is disabled. Raises SecretsUnavailableError."""
    if not context.settings.hub_enabled:
        return None
    with context.database.read() as session:
        return secrets.reveal(session, context.settings, owner, secrets.HUB_TOKEN)


def write_token(work: Path, token: str, mode: int = 0o600) -> Path:
    """Write a file that only this user, or by ``mode`` the group of trainers, can read. Raises OSError."""
    path = work / _FILE
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:
        file.write(token)
    return path


def isolate_hub_cache(environment: Mapping[str, str], context: Context, owner: str, *, has_token: bool) -> dict[str, str]:
    """``environment`` of a trainer without access to what this machine's user, or another owner, may fetch.

    The embedded service has one user: its trainers use that user's cache and stored login.
    """
    if owner == LOCAL and not context.settings.keys_required:
        return dict(environment)
    isolated = {**environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    if has_token:
        home = Path(environment.get("HOME", "~"))  # of the trainer, which may be another user
        shared = Path(environment.get("HF_HOME") or home / ".cache/huggingface").expanduser()
        isolated = {name: value for name, value in isolated.items() if name not in _CACHES}
        isolated["HF_HOME"] = str(
            shared / "owners" / owner
        )  # a file name: service.access.api_keys.OWNER has no slash, no dot in front
    return isolated
