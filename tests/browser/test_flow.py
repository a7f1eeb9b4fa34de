"""From the form to a prediction in a real browser, on a real service: submit, watch the bar move, download the mask, try it."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.visitor import Visitor
from tests.serving import espalier_serve
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model
from tests.waiting import wait_until

HOSTILE = "<script>window.ran = 1</script><img src=x onerror=window.ran=1>"
_RECORD_PROGRESS = """() => {
  window.stayed = true;
  window.seen = [];
  new MutationObserver(() => {
    const bar = document.querySelector("#state progress");
    if (bar && bar.value !== window.seen.at(-1)) window.seen.push(bar.value);
  }).observe(document.querySelector("main"), { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``espalier serve`` with a toy model and its data set."""
    folder = tmp_path_factory.mktemp("site")
    make_model(folder / "models" / "toy")
    make_opinions(folder / "datasets" / "sst2", train=2048)
    with espalier_serve(folder, {"ESPALIER_HUB_ENABLED": "false"}) as url:
        yield url


def test_submit_watch_download_and_try(service: str, visit: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = visit(service)
    page = visitor.open("/new?max_steps=2000&batch_size=8&max_length=32&learning_rate=0.05&sparsity=0.75")
    page.get_by_label("model", exact=True).fill("toy")
    page.get_by_label("task", exact=True).select_option("sst2")
    page.get_by_role("button", name="Submit job").click()
    page.wait_for_url("**/jobs/job_*")
    page.evaluate(_RECORD_PROGRESS)
    page.locator("#state .badge.succeeded").wait_for(timeout=120_000)
    page.get_by_role("link", name="mask.safetensors", exact=True).wait_for()
    assert page.evaluate("window.stayed")
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen)
    assert len(seen) >= 3
    assert seen[-1] == 2000
    page.locator("#curves canvas").nth(2).wait_for()

    with page.expect_download() as begun:
        page.get_by_role("link", name="mask.safetensors", exact=True).click()
    mask = tmp_path / "mask.safetensors"
    begun.value.save_as(mask)
    row = page.locator("tr", has=page.get_by_role("link", name="mask.safetensors", exact=True))
    assert hashlib.sha256(mask.read_bytes()).hexdigest() == row.locator(".digest").inner_text()

    page.reload()
    page.get_by_label("sentence, one per line").fill(f"lovely bright film\ndull grim story\n{HOSTILE}")
    page.get_by_role("button", name="Predict").click()
    page.locator("#try table").wait_for(timeout=90_000)
    rows = page.locator("#try tbody tr")
    assert rows.count() == 3
    assert rows.nth(2).locator("td").first.inner_text() == HOSTILE
    assert page.locator("#try tbody b").all_inner_texts()[:2] == ["positive", "negative"]
    assert page.evaluate("window.ran") is None
    assert wait_until(lambda: page.locator("#curves canvas").count() == 4, what="four curves")
    assert visitor.violations() == []
