"""axe-core finds nothing on any page, light and dark; no page is wider than a phone; a job is cancelled by the keyboard alone."""

from collections.abc import Callable

import pytest

from api.pages.rendering import NAVIGATION
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.browser.filled_service import fill
from tests.browser.visitor import Visitor

SCHEMES = ("light", "dark")
Visit = Callable[..., Visitor]


@pytest.fixture
def pages(jobs: Jobs, settings: Settings, address: str) -> list[str]:
    """Paths of pages about things in every state, and of those that are always there."""
    return [*fill(jobs, settings, address).values(), *(path for path, *_ in NAVIGATION), "/?status=paused", "/nothing"]


def check(visitor: Visitor, scheme: str, where: str) -> list[str]:
    """Every fault of the page that is open, in one theme, as wide as a phone and as a screen."""
    visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of SCHEMES
    found = [f"{where}, {scheme}: {each}" for each in visitor.violations()]
    visitor.page.set_viewport_size({"width": 360, "height": 800})
    width = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"
    visitor.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # curves follow
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


def test_a_figure_is_whole_on_a_phone(address: str, visit: Visit, pages: list[str]) -> None:
    """Drawn for it: the wide one would be cut or too small to read."""
    page = visit(address, width=390).open(next(path for path in pages if path.startswith("/sweeps/")))
    page.wait_for_function("document.querySelector('img[data-figure]').naturalWidth > 0")
    shown = page.evaluate("(({currentSrc, width}) => [currentSrc, width])(document.querySelector('img[data-figure]'))")
    assert "narrow=true" in shown[0]
    assert shown[1] <= 390
    assert page.locator(".warned").all_inner_texts() == ["1 warning"]


def test_an_empty_list_and_the_sign_in(address: str, protected: str, visit: Visit) -> None:
    visitor, signed_out = visit(address), visit(protected)
    signed_out.expected.add("401")
    visitor.open("/")
    signed_out.open("/signin")
    signed_out.page.get_by_label("API key").fill("esp_wrong")
    signed_out.page.keyboard.press("Enter")
    signed_out.page.get_by_role("alert").wait_for()
    assert [fault for each in (visitor, signed_out) for scheme in SCHEMES for fault in check(each, scheme, each.page.url)] == []


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
