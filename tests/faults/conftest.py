"""A service per test, on either stack: SQLite with files, PostgreSQL with Redis."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cluster import Site, Stack, empty
from tests.faults.prefork_server import Zygote

MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with Zygote() as zygote:
        yield zygote


@pytest.fixture(params=["embedded", "production"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """An empty one; the test runs once on each."""
    if request.param == "embedded":
        found = Stack("embedded", f"sqlite:///{tmp_path}/espalier.db")
        empty(found, request.getfixturevalue("migrated_sqlite"))
    else:
        found = Stack(
            "production", request.getfixturevalue("migrated_postgres"), request.getfixturevalue("redis_url")
        )  # fmt: skip
        empty(found)
    return found


@pytest.fixture
def make_site(stack: Stack, zygote: Zygote, tmp_path: Path) -> Iterator[MakeSite]:
    """A service with settings changed."""
    made: list[Site] = []

    def make(**tuning: Any) -> Site:
        made.append(Site(stack, tmp_path, zygote, **tuning))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


on_embedded = pytest.mark.parametrize("stack", ["embedded"], indirect=True)
"""For what concerns processes more than rows."""
