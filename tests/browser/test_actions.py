"""A job is cancelled by the keyboard alone: the question holds the focus, and Enter on it changes nothing by itself."""

from collections.abc import Callable

from tests.api.conftest import Jobs
from tests.browser.visitor import Visitor


def test_cancel_by_keyboard(address: str, visit: Callable[..., Visitor], jobs: Jobs) -> None:
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
