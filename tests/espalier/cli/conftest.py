"""A service with one database, and the command line that talks to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.app import create_app
from espalier.cli.main import app
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.serving import serving

Run = Callable[..., str]


@pytest.fixture
def jobs(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Jobs]:
    (tmp_path / "espalier.db").write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{tmp_path}/espalier.db")
    yield Jobs(database, tmp_path)
    database.dispose()


@pytest.fixture
def url(jobs: Jobs, tmp_path: Path) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path, database_url=jobs.database.url, webhook_allow_private=True, webhook_allow_http=True)
    with serving(create_app(settings)) as at:
        yield at


@pytest.fixture
def espalier(url: str) -> Run:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--url", url], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run
