"""Secrets: sealed for one owner and one name, under a key that the database does not hold."""

import base64
import re
import stat
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from service.access import secrets
from service.access.secrets import HUB_TOKEN
from service.db.engine import Database
from service.db.models import Secret
from service.errors import SecretsUnavailableError
from service.settings import Settings

TOKEN = "hf_QWxhZGRpbjpvcGVuIHNlc2FtZQ"


def with_key(settings: Settings, fill: int = 1) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(base64.b64encode(bytes([fill] * 32)).decode())})


def put(database: Database, settings: Settings, owner: str = "a", value: str = TOKEN) -> None:
    with database.write() as session:
        assert secrets.put(session, settings, owner, HUB_TOKEN, value).tzinfo is not None


def reveal(database: Database, settings: Settings, owner: str = "a") -> str | None:
    with database.read() as session:
        return secrets.reveal(session, settings, owner, HUB_TOKEN)


def sealed(database: Database) -> list[bytes]:
    with database.read() as session:
        return [bytes(value) for value in session.scalars(select(Secret.sealed))]


def test_a_secret_is_revealed_to_its_owner_only_and_stored_encrypted(database: Database, settings: Settings) -> None:
    settings = with_key(settings)
    put(database, settings)
    once = sealed(database)
    put(database, settings)
    assert sealed(database) != once  # the same value does not look the same
    assert not any(TOKEN.encode() in value for value in once)
    assert reveal(database, settings) == TOKEN
    assert reveal(database, settings, "b") is None
    put(database, settings, value="hf_another")
    assert reveal(database, settings) == "hf_another"
    with database.write() as session:
        secrets.delete(session, "a", HUB_TOKEN)
        secrets.delete(session, "a", HUB_TOKEN)
        assert secrets.set_at(session, "a", HUB_TOKEN) is None


def test_a_row_moved_to_another_owner_cannot_be_decrypted(database: Database, settings: Settings) -> None:
    settings = with_key(settings)
    put(database, settings)
    with database.write() as session:
        session.execute(update(Secret).values(owner="b"))
    with pytest.raises(SecretsUnavailableError, match=r" of b .*ESPALIER_SECRET_KEY\b"):
        reveal(database, settings, "b")


def test_another_key_cannot_decrypt_it(database: Database, settings: Settings) -> None:
    put(database, with_key(settings))
    with pytest.raises(SecretsUnavailableError, match=r" of a .*ESPALIER_SECRET_KEY\b"):
        reveal(database, with_key(settings, 2))


@pytest.mark.parametrize("key", ["", "password", base64.b64encode(b"x" * 16).decode()])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_malformed_keys_are_refused(database: Database, settings: Settings, tmp_path: Path, key: str) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    for bad in ({"secret_key": SecretStr(key)}, {"secret_key_file": file}):
        with pytest.raises(SecretsUnavailableError, match=r"32 .*base64") as refused:
            put(database, settings.model_copy(update=bad))
        assert not key or key not in str(refused.value)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_embedded_service_creates_its_key_once(database: Database, settings: Settings) -> None:
    file = settings.data_dir / "secret.key"
    assert reveal(database, settings) is None
    assert not file.exists()
    threads = [threading.Thread(target=put, args=(database, settings, owner)) for owner in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reveal(database, settings, owner) for owner in ("a", "b", "c", "d")] == [TOKEN] * 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.glob("secret*")] == ["secret.key"]
    file.unlink()
    with pytest.raises(SecretsUnavailableError, match=re.escape(str(file))):
        reveal(database, settings)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_a_key_the_error_names_the_settings(database: Database, settings: Settings) -> None:
    with pytest.raises(SecretsUnavailableError, match=r"ESPALIER_SECRET_KEY .*ESPALIER_SECRET_KEY_FILE"):
        put(database, settings)
