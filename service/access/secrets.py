"""Stored secrets of owners, e.g. their hub token: set, used by their jobs, never shown again.

Each value is sealed with AES-256-GCM under the service's secret key, bound to its owner and name, so that neither a copy of the
database nor a row moved to another owner reveals it. Called by ``api.routes.secrets``, ``service.webhooks.subscriptions`` and
``worker.run.hub_token`` inside their transactions; never commits.
"""

import base64
import os
import secrets
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Secret
from service.errors import SecretsUnavailableError
from service.settings import Settings

HUB_TOKEN = "hub_token"  # noqa: S105 - a name
_KEY_BYTES, _NONCE_BYTES = 32, 12
_HOW_TO_MAKE_ONE = 'make one with: python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'


def put(session: Session, settings: Settings, owner: str, name: str, value: str) -> datetime:
    """Store ``value``, replacing a former one; the time. Raises SecretsUnavailableError without a secret key."""
    sealed = seal(settings, owner, name, value)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    kept = insert(Secret).values(owner=owner, name=name, sealed=sealed, set_at=now_sql())
    changes = {"sealed": sealed, "set_at": now_sql()}
    upsert = kept.on_conflict_do_update(index_elements=["owner", "name"], set_=changes).returning(Secret.set_at)
    return session.execute(upsert).scalar_one()


def set_at(session: Session, owner: str, name: str) -> datetime | None:
    """When the secret was set; None if it is not. Nothing else about it is ever shown."""
    return session.scalars(select(Secret.set_at).where(Secret.owner == owner, Secret.name == name)).one_or_none()


def reveal(session: Session, settings: Settings, owner: str, name: str) -> str | None:
    """The value, for the owner's jobs; None if not set. Raises SecretsUnavailableError when it cannot be decrypted."""
    row = session.get(Secret, (owner, name))
    return None if row is None else unseal(settings, owner, name, row.sealed)


def seal(settings: Settings, owner: str, name: str, value: str) -> bytes:
    """``value`` encrypted, to be stored in a table. Raises SecretsUnavailableError without a secret key."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_key(settings, make=True)).encrypt(nonce, value.encode(), _associated_data(owner, name))


def unseal(settings: Settings, owner: str, name: str, stored: bytes) -> str:
    """The value that was sealed under the same owner and name. Raises SecretsUnavailableError when it cannot be decrypted."""
    nonce, sealed = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
    try:
        return AESGCM(_key(settings, make=False)).decrypt(nonce, sealed, _associated_data(owner, name)).decode()
    except InvalidTag as error:
        raise SecretsUnavailableError(
            f"The {name} of {owner} was stored under another secret key; set it again, or restore the former ESPALIER_SECRET_KEY."
        ) from error


def delete(session: Session, owner: str, name: str) -> None:
    """Delete a secret; one that is not set is not an error."""
    session.execute(sql_delete(Secret).where(Secret.owner == owner, Secret.name == name))


def _associated_data(owner: str, name: str) -> bytes:
    return f"{owner}\n{name}".encode()


def _key(settings: Settings, *, make: bool) -> bytes:
    """The service's secret key; on SQLite, where everything is on one machine, created at first use if ``make``."""
    if settings.secret_key is not None:
        return _decoded(settings.secret_key.get_secret_value(), "ESPALIER_SECRET_KEY")
    file = settings.secret_key_file
    if file is None and settings.database_url.startswith("sqlite:"):
        file = settings.data_dir / "secret.key"
        if make and not file.exists():
            _create_key_file(file)
    if file is None:
        raise SecretsUnavailableError(
            f"Secrets cannot be stored without ESPALIER_SECRET_KEY or ESPALIER_SECRET_KEY_FILE, the same for API and "
            f"workers; {_HOW_TO_MAKE_ONE}"
        )
    try:
        return _decoded(file.read_text("utf-8-sig"), str(file))  # Windows editors write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsUnavailableError(f"The secret key cannot be read from {file}: {error}") from error


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:  # binascii.Error, or a character that is not ASCII
        key = b""
    if len(key) != _KEY_BYTES:
        raise SecretsUnavailableError(f"{where} must hold {_KEY_BYTES} random bytes in base64; {_HOW_TO_MAKE_ONE}")
    return key


def _create_key_file(file: Path) -> None:
    """Readable by this user alone, complete or absent: of two processes that create it at once the first one wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
