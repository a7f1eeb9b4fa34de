"""What a trainer may fetch from the hub: as the owner of its job, and as nobody else. Called by ``supervise.py``.

The owner's token is handed over in a file of the attempt's folder, which goes when the attempt is over; never on the command
line or in the environment, which other processes can read. Downloads that a token paid for stay apart: the hub's cache
serves whoever asks while the hub is out of reach.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from service.access import secrets
from service.db.models import LOCAL
from worker.context import Context

_FILE = "hub-token"
_CACHES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE", "HF_XET_CACHE", "HF_ASSETS_CACHE")
"""Would win over ``HF_HOME``."""


def load_hub_token(context: Context, owner: str) -> str | None:
    """None if the owner has set none, or nothing is fetched from the hub. Raises SecretsUnavailableError."""
    if not context.settings.hub_enabled:
        return None
    with context.database.read() as session:
        return secrets.reveal(session, context.settings, owner, secrets.HUB_TOKEN)


def write_token(work: Path, token: str) -> Path:
    """For this user alone. Raises OSError."""
    path = work / _FILE
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token)
    return path


def isolate_hub_cache(
    environment: Mapping[str, str], context: Context, owner: str, *, has_token: bool
) -> dict[str, str]:
    """``environment`` of a trainer, without what this machine's user, or another owner, may fetch.

    The embedded service has one user: its trainers go on using that user's cache and stored login.
    """
    if owner == LOCAL and not context.settings.keys_required:
        return dict(environment)
    apart = {**environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    if has_token:
        shared = Path(environment.get("HF_HOME") or "~/.cache/huggingface").expanduser()
        apart = {name: value for name, value in apart.items() if name not in _CACHES}
        apart["HF_HOME"] = str(
            shared / "owners" / owner
        )  # a file name: service.access.api_keys.OWNER has no slash, no dot in front
    return apart
