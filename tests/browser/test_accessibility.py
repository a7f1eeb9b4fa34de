"""axe-core finds nothing on any page, light and dark; no page is wider than a phone; a job is cancelled by the keyboard alone."""

import json
from collections.abc import Callable

import pytest

from api.pages.rendering import NAVIGATION
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import Jobs
from tests.api.pages.test_job import REPORT
from tests.browser.visitor import Visitor

SCHEMES = ("light", "dark")
Visit = Callable[..., Visitor]


@pytest.fixture
def pages(jobs: Jobs) -> list[str]:
    """Paths of pages about jobs in every state, and of those that are always there."""
    done = jobs.running(sparsity=0.97)
    for step in range(5):
        jobs.metrics(done, step, loss=1 / (step + 1), remaining=1 - step / 10, rows_per_second=300.0)
    jobs.artifact(done, json.dumps(REPORT).encode(), "report.json")
    jobs.event(done, "log", level="warning", message="rows were left out")
    jobs.finish(done)
    failed = jobs.running()
    jobs.event(failed, "error", message="no")
    jobs.fail(failed)
    running = jobs.running(sparsity=0.5)
    with jobs.database.write() as session:
        claims.set_phase(session, Fence(running, 1), "training")
        claims.set_progress(session, Fence(running, 1), step=50, total_steps=200, eta_seconds=90)
    jobs.queued()
    jobs.worker()
    compared = f"/compare?job={done}&job={failed}"
    return [
        compared,
        *(path for path, *_ in NAVIGATION),
        "/?status=paused",
        "/nothing",
        *(f"/jobs/{each}" for each in (done, failed, running)),
    ]


def check(visitor: Visitor, scheme: str, where: str) -> list[str]:
    """Every fault of the page that is open, in one theme, as wide as a phone and as a screen."""
    visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of SCHEMES
    found = [f"{where}, {scheme}: {each}" for each in visitor.violations()]
    visitor.page.set_viewport_size({"width": 360, "height": 800})
    width = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"
    visitor.page.evaluate(
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )  # curves follow
    over = visitor.page.evaluate(width)
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    return [*found, *([f"{where}: {over} pixels wider than a phone"] if over > 0 else [])]


def test_every_page(address: str, visit: Visit, pages: list[str]) -> None:
    visitor = visit(address)
    visitor.expected.add("404")
    faults = []
    for path in pages:
        page = visitor.open(path)
        if "/jobs/" in path:
            page.locator("#curves").wait_for()
        for each in page.locator("details:not(.ask)").all():
            each.evaluate("each => { each.open = true; }")
        for scheme in SCHEMES:
            faults += check(visitor, scheme, path)
    assert not faults, "\n".join(faults)


def test_an_empty_list_and_the_sign_in(address: str, protected: str, visit: Visit) -> None:
    visitor, stranger = visit(address), visit(protected)
    stranger.expected.add("401")
    visitor.open("/")
    stranger.open("/signin")
    stranger.page.get_by_label("API key").fill("esp_wrong")
    stranger.page.keyboard.press("Enter")
    stranger.page.get_by_role("alert").wait_for()
    assert [
        fault for each in (visitor, stranger) for scheme in SCHEMES for fault in check(each, scheme, each.page.url)
    ] == []


def test_cancel_by_keyboard(address: str, visit: Visit, jobs: Jobs) -> None:
    """The question holds the focus, and Enter on it changes nothing by itself."""
    job_id = jobs.queued()
    visitor = visit(address)
    page = visitor.open("/")
    visitor.press_until("Tab", "Skip to content")
    page.keyboard.press("Enter")
    visitor.press_until("Tab", page.locator(f"#{job_id} a").inner_text().strip())
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/jobs/{job_id}")
    visitor.press_until("Tab", "Cancel")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert visitor.focused().inner_text() == "Back"
    assert visitor.violations() == []
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="detached")
    assert visitor.focused().inner_text() == "Cancel"
    assert page.locator("#state .badge").inner_text().strip() == "queued"
    page.keyboard.press("Enter")
    visitor.press_until("Tab", "Cancel the job", limit=4)
    page.keyboard.press("Enter")
    page.locator("#state .badge.cancelled").wait_for()
    assert page.get_by_role("status").first.inner_text() == "cancelled"
