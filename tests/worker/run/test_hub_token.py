"""The hub token reaches the trainer of its owner's job in a private file, and appears nowhere else."""

import base64
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from service.access import secrets
from service.access.secrets import HUB_TOKEN
from service.db.engine import Database
from service.db.models import Base
from service.jobs import commands
from service.settings import Settings
from tests.worker.conftest import SPEC, WorkerHarness
from worker.context import Context
from worker.run.hub_token import isolate_hub_cache
from worker.run.outcome import Failed, Outcome
from worker.run.process import trainer_command

TOKEN = "hf_QWxhZGRpbjpvcGVuIHNlc2FtZQ"


@pytest.fixture
def keyed(harness: WorkerHarness) -> WorkerHarness:
    """A worker that can read secrets, with one of owner ``a``."""
    key = SecretStr(base64.b64encode(b"k" * 32).decode())
    harness.context.settings = harness.context.settings.model_copy(update={"secret_key": key})
    with harness.context.database.write() as session:
        secrets.put(session, harness.context.settings, "a", HUB_TOKEN, TOKEN)
    return harness


def submit(harness: WorkerHarness, owner: str) -> str:
    with harness.context.database.write() as session:
        return commands.create(session, spec=SPEC, owner=owner).id


def everything_stored(database: Database) -> str:
    """All rows of all tables; bytes as the text they would be."""

    def readable(value: Any) -> str:
        return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)

    with database.read() as session:
        rows = [row for table in Base.metadata.sorted_tables for row in session.execute(text(f"SELECT * FROM {table.name}"))]
    return "\n".join(readable(value) for row in rows for value in row)


def test_a_trainer_that_repeats_its_token_does_not_leak_it(keyed: WorkerHarness, caplog: pytest.LogCaptureFixture) -> None:
    job_id = submit(keyed, "a")
    with caplog.at_level(logging.DEBUG):
        outcome = keyed.run(keyed.claim(), "repeats_token")
    assert isinstance(outcome, Failed)
    assert "mode 600" in outcome.message
    events = keyed.events(job_id)
    redacted = {event.type for event in events if "[secret]" in str(event.data)}
    assert redacted >= {"log", "stderr", "status"}
    assert TOKEN not in everything_stored(keyed.context.database)
    assert TOKEN not in caplog.text
    assert not list(keyed.context.settings.data_dir.rglob("hub-token"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_jobs_of_the_owner_get_the_token(keyed: WorkerHarness) -> None:
    submit(keyed, "b")
    outcome = keyed.run(keyed.claim(), "repeats_token")
    assert isinstance(outcome, Failed)
    assert "no token" in outcome.message
    keyed.context.settings = keyed.context.settings.model_copy(update={"hub_enabled": False})
    submit(keyed, "a")
    outcome = keyed.run(keyed.claim(), "repeats_token")
    assert isinstance(outcome, Failed)
    assert "no token" in outcome.message


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_with_another_key_fails_the_attempt(keyed: WorkerHarness) -> None:
    other = SecretStr(base64.b64encode(b"o" * 32).decode())
    keyed.context.settings = keyed.context.settings.model_copy(update={"secret_key": other})
    submit(keyed, "b")
    assert keyed.run(keyed.claim(), "success") is Outcome.SUCCEEDED  # who has no token needs no key
    submit(keyed, "a")
    outcome = keyed.run(keyed.claim(), "success")
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.retryable) == ("secrets_unavailable", True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_owners_with_tokens_have_caches_of_their_own(settings: Settings) -> None:
    context = Context(settings, Database(settings.database_url))
    before = {"HF_HOME": "/cache", "HF_HUB_CACHE": "/cache/hub", "PATH": "/bin"}
    assert isolate_hub_cache(before, context, "local", has_token=True) == before
    anonymous = {**before, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    assert isolate_hub_cache(before, context, "a", has_token=False) == anonymous
    own = {"HF_HOME": "/cache/owners/a", "PATH": "/bin", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    assert isolate_hub_cache(before, context, "a", has_token=True) == own
    context.settings = settings.model_copy(update={"require_keys": True})
    assert isolate_hub_cache(before, context, "local", has_token=False) == anonymous
    context.database.dispose()


def test_the_command_line_names_the_token_file() -> None:
    command = trainer_command(Settings(), Path("spec.json"), Path("work"), Path("work/hub-token"))
    assert command[-2:] == ["--token-file", "work/hub-token"]
    assert "--token-file" not in trainer_command(Settings(), Path("spec.json"), Path("work"))
