"""Sign-in, sign-out, a revoked key and two owners, in a real browser."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from service.access import api_keys
from service.db.engine import Database
from service.db.models import Job
from tests.api.conftest import Jobs
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


@pytest.fixture
def key_of(database: Database) -> Callable[[str], tuple[str, str]]:
    """Id and text of a new key of an owner."""

    def make(owner: str) -> tuple[str, str]:
        with database.write() as session:
            row, key = api_keys.create(session, name="test", owner=owner, scopes=(api_keys.Scope.READ, api_keys.Scope.WRITE))
            return row.id, key

    return make


def sign_in(visitor: Visitor, key: str, path: str = "/") -> None:
    page = visitor.open(path)
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def test_sign_in_and_out(protected: str, visit: Visit, key_of: Callable[[str], tuple[str, str]]) -> None:
    visitor = visit(protected)
    visitor.expected.add("401")
    sign_in(visitor, "esp_wrong", "/?task=sst2")
    visitor.page.get_by_role("alert").wait_for()
    _, key = key_of("ann")
    visitor.page.get_by_label("API key").fill(key)
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    assert visitor.page.url == f"{protected}/?task=sst2"
    assert key not in visitor.page.content()
    (cookie,) = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert key not in cookie["value"]
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.get_by_role("heading", name="Sign in").wait_for()
    assert visitor.context.cookies() == []
    assert visitor.open("/").url.startswith(f"{protected}/signin")


def test_the_page_of_a_revoked_key_leads_to_the_sign_in_by_itself(
    protected: str, visit: Visit, database: Database, key_of: Callable[[str], tuple[str, str]]
) -> None:
    visitor = visit(protected)
    visitor.expected.add("401")
    key_id, key = key_of("ann")
    sign_in(visitor, key)
    visitor.page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    with database.write() as session:
        api_keys.revoke(session, key_id)
    visitor.page.wait_for_url(lambda url: url.endswith("reason=key_revoked"))
    assert "revoked" in visitor.page.get_by_role("alert").inner_text()


def test_the_job_of_another_owner_is_not_found(
    protected: str, visit: Visit, jobs: Jobs, database: Database, key_of: Callable[[str], tuple[str, str]]
) -> None:
    job_id = jobs.succeeded()
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(owner="ann"))
    ann, bob = visit(protected), visit(protected)
    bob.expected.add("404")
    for visitor, owner in ((ann, "ann"), (bob, "bob")):
        sign_in(visitor, key_of(owner)[1])
        visitor.page.get_by_role("heading", name="Jobs", exact=True).wait_for()
    assert ann.page.locator(f"#{job_id}").count() == 1
    assert bob.page.locator(f"#{job_id}").count() == 0
    ann.open(f"/jobs/{job_id}").get_by_text("mask.safetensors").first.wait_for()
    page = bob.open(f"/jobs/{job_id}")
    page.get_by_role("heading", name="Not Found").wait_for()
    for path in ("artifacts/mask.safetensors", "stream", "curves", "log"):
        assert bob.context.request.get(f"{protected}/jobs/{job_id}/{path}").status == 404
