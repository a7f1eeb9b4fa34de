"""Live events in a real browser: the connection is cut, and the page goes on without a gap and without a repetition."""

from collections.abc import Callable

from tests.api.conftest import Jobs
from tests.browser.visitor import Visitor
from tests.tcp_proxy import TcpProxy
from tests.waiting import wait_until

_MESSAGES = (
    "[...document.querySelectorAll('#events li span')].map(each => each.textContent).filter(text => text.startsWith('message '))"
)


def test_a_stream_that_is_cut_goes_on_without_gaps(address: str, visit: Callable[..., Visitor], jobs: Jobs) -> None:
    job_id = jobs.running()
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            jobs.event(job_id, "log", message=f"message {sent}")
            sent += 1

    def wait_for_all() -> None:
        wait_until(lambda: len(page.evaluate(_MESSAGES)) >= sent, seconds=30, what="the messages sent")

    send(3)
    with TcpProxy(address) as proxy:
        visitor = visit(proxy.url.rstrip("/"))
        page = visitor.open(f"/jobs/{job_id}")
        for _ in range(4):
            send(2)
            wait_for_all()
            proxy.disconnect()
            send(2)
        wait_for_all()
        jobs.finish(job_id)
        page.locator("#state .badge.succeeded").wait_for()
        page.get_by_role("link", name="mask.safetensors").wait_for()
        assert page.evaluate(_MESSAGES) == [f"message {number}" for number in range(sent)]
    visitor.faults = [fault for fault in visitor.faults if "net::ERR_" not in fault and "htmx:sse:error" not in fault]  # the cuts
