"""A job whose names, texts, metadata, events and errors are markup and script: shown as text, and nothing of it runs."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from service.db.models import Job
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import Jobs
from tests.browser.visitor import Visitor
from tests.waiting import wait_until

HOSTILE = (
    "<script>window.ran = 1</script><img src=x onerror=window.ran=1><svg onload=window.ran=1>\"'><b onclick=window.ran=1>"
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe><p hx-get='/v1/jobs' hx-trigger='load' hx-on:click='ran=1'>{{ 7*7 }}"
    "<style>body{display:none}</style><meta http-equiv=refresh content='0;url=https://example.org'>"
)
_CREATED = (
    "document.querySelectorAll('main iframe, main script, main svg, main style, main meta, main img, main b[onclick],"
    " main [hx-on\\\\:click]').length"
)


@pytest.fixture
def hostile(jobs: Jobs) -> tuple[str, str]:
    """A job that runs and one that failed."""
    spec: dict[str, Any] = {"task": {"dataset": f"d{HOSTILE}", "text": ["s"], "labels": [HOSTILE, "b"], "label_words": ["x", "y"]}}
    ids = []
    for fails in (True, False):
        job_id = jobs.queued()
        with jobs.database.write() as session:
            row = session.get_one(Job, job_id)
            named = {**row.spec, **spec, "model": f"m{HOSTILE}", "metadata": {HOSTILE[:40]: HOSTILE}}
            session.execute(update(Job).where(Job.id == job_id).values(spec=named))
            assert claims.claim(session, worker_id="w", lease_seconds=600) is not None
        jobs.event(job_id, "log", level="warning", message=HOSTILE)
        jobs.event(job_id, "error", message=HOSTILE)
        named_metrics: dict[str, Any] = {"loss": 0.5, f"validation_{HOSTILE}": 0.5}
        jobs.metrics(job_id, 1, **named_metrics)
        if fails:
            error: Any = {"code": "diverged", "message": HOSTILE, "param": HOSTILE, "kind": "user", "retryable": False}
            with jobs.database.write() as session:
                claims.fail(session, Fence(job_id, 1), error=error)
        ids.append(job_id)
    return ids[0], ids[1]


def test_nothing_runs(address: str, visit: Callable[..., Visitor], jobs: Jobs, hostile: tuple[str, str]) -> None:
    failed, running = hostile
    visitor = visit(address)
    for path in ("/", f"/?model={quote(HOSTILE[:200])}&metadata[a]={quote(HOSTILE)}", f"/jobs/{failed}", f"/jobs/{running}"):
        page = visitor.open(path)
        assert page.evaluate(_CREATED) == 0, path
        assert page.evaluate("window.ran") is None, path
        assert page.locator("main").is_visible()
    jobs.event(running, "log", message=f"late {HOSTILE}")  # comes by the stream, which htmx puts into the page
    log = page.locator("#events li span")
    wait_until(lambda: f"late {HOSTILE}" in log.all_text_contents(), seconds=30, what="the late event")
    page.locator("#curves canvas").first.wait_for()
    assert page.evaluate(_CREATED) == 0
    assert page.evaluate("window.ran") is None
    assert visitor.page.url == f"{address}/jobs/{running}"
