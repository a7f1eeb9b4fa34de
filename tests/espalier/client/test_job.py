"""A job as an object: values by name, its line, its display in a notebook."""

import copy
import json
import pickle
import re
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from espalier.client import job_words
from espalier.client.models import Job, JobResult, Sweep
from tests.espalier.client.test_client import job, script, talking

EVIL = '<script>alert("x")</script>'
RESULT = {"primary_metric": "accuracy", "before": {"accuracy": 0.5}, "final": {"accuracy": 0.9}, "mask_bytes": 10}
SPEC = {"model": "toy", "task": "sst2", "method": "smp-s", "sparsity": 0.9}
ROWS = [{"step": step, "values": {"loss": 1 / step, "validation_accuracy": 0.5 + step / 100}} for step in range(1, 5)]


def received(**fields: Any) -> Job:
    return Job.received(job(**{"id": "job_01jd3xk5m8v6q2zr9w4t7y1n0b", "spec": SPEC} | fields), "http://service.test")


def test_a_result_is_a_dict_and_an_object() -> None:
    result = received(status="succeeded", result=RESULT).result
    assert result is not None
    assert isinstance(result, JobResult)
    assert result == RESULT
    assert (result["final"]["accuracy"], result.final["accuracy"], result.get("final")) == (0.9, 0.9, RESULT["final"])
    assert (result.final.accuracy, result.mask_bytes) == (0.9, 10)  # type: ignore[attr-defined]
    assert {"final", "mask_bytes"} <= {*dir(result)}
    with pytest.raises(AttributeError, match=r"finale.*primary_metric, before, final, mask_bytes"):
        _ = result.finale
    assert json.loads(json.dumps(result)) == RESULT
    for copied in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (type(copied), copied) == (JobResult, RESULT)


def test_what_the_client_adds_is_not_part_of_the_job_that_was_sent() -> None:
    seen = received(result=RESULT, metrics={"loss": 0.5}, curve="of a newer service")
    assert seen.metrics is not None
    assert seen.metrics.loss == 0.5
    sent = json.loads(seen.model_dump_json())
    assert {"service", "curve"}.isdisjoint(sent)
    assert (sent["result"], sent["metrics"]) == (RESULT, {"loss": 0.5})


def test_the_line_tells_state_model_task_and_metric() -> None:
    done = received(status="succeeded", result=RESULT)
    assert repr(done) == str(done) == ("<Job job_01jd3xk5m8… toy, sst2, smp-s 0.9, succeeded, accuracy 0.500 → 0.900>")
    running = received(status="running", phase="training", progress={"step": 3, "total_steps": 9}, metrics={"validation_f1": 0.25})
    assert repr(running).endswith("running (training 3/9), f1 0.250>")
    assert repr(received(export_of="job_1", exports=["onnx"])) == "<Job job_01jd3xk5m8… export of job_1 to onnx, queued>"
    tuning = received(
        status="running",
        phase="baseline",
        metrics={"baseline_step": 1200, "baseline_rows_per_second": 35.2},
        progress={"step": 9, "total_steps": 9, "eta_seconds": 65},
    )
    assert job_words.numbers(tuning) == "baseline step 1,200 (35 rows/s)  ETA 1:05"
    tuned = received(status="succeeded", result=RESULT | {"baseline": {"metrics": {"accuracy": 0.95}}})
    assert (job_words.fine_tuned(tuned), job_words.fine_tuned(done)) == (0.95, None)
    own = received(spec={"model": "toy", "task": {"dataset": "tickets"}})
    assert "tickets" in repr(own)
    sweep = Sweep(id="swp_1", status="running", progress=0.5, jobs={"queued": 2, "failed": 0}, base={"model": "toy"})
    assert repr(sweep) == "<Sweep swp_1 running 50%: toy, 2 queued>"


def test_a_notebook_shows_state_curve_and_links() -> None:
    report = {"name": "report.html", "bytes": 1, "sha256": "0", "url": "/v1/jobs/x/artifacts/report.html"}
    done = received(status="succeeded", result=RESULT, artifacts=[report])
    handler, asked = script(
        httpx.Response(200, json=done.model_dump(mode="json")),
        httpx.Response(200, json={"data": ROWS, "has_more": False, "next_cursor": None}),
    )
    shown = talking(handler).get(done, curve=True)._repr_html_()
    assert asked[1].url.path == f"/v1/jobs/{done.id}/metrics"
    page = f"http://service.test/jobs/{done.id}"
    assert re.findall(r'href="([^"]*)"', shown) == [page, f"{page}/artifacts/report.html"]
    figure = ElementTree.fromstring(shown[shown.index("<svg") : shown.index("</svg>") + 6])
    lines = [each.attrib["points"].split() for each in figure if each.tag.endswith("polyline")]
    assert [len(line) for line in lines] == [4, 4]
    assert "loss 1 → 0.25" in shown
    assert "succeeded" in shown
    assert "<svg" not in done._repr_html_()


def test_markup_of_others_is_text_in_a_notebook() -> None:
    rows = [{"step": step, "values": {f"validation_{EVIL}": step / 10}} for step in (1, 2)]
    spec = {"model": EVIL, "task": {"dataset": EVIL}, "method": EVIL, "sparsity": EVIL}
    seen = received(
        id=f'"><img src=x onerror=alert(1)>{EVIL}',
        status=EVIL,
        spec=spec,
        metrics={f"validation_{EVIL}": 0.5},
        error={"code": "x", "message": EVIL, "remedy": EVIL},
        warnings=[{"code": "x", "message": EVIL}],
        phase=EVIL,
        artifacts=[{"name": "report.html", "bytes": 1, "sha256": "", "url": "javascript:alert(1)"}],
    )
    curved = Job.model_validate(seen.model_dump() | {"curve": rows, "service": seen.service})
    shown = curved._repr_html_()
    assert "<polyline" in shown
    assert not re.search(r"<script|<img|javascript:", shown)
    document = ElementTree.fromstring(shown.replace("&nbsp;", " "))
    assert {each.tag.rpartition("}")[2] for each in document.iter()} <= set(
        "div strong table tbody tr th td svg path polyline span a".split()
    )


def test_addresses_carry_no_password() -> None:
    client = talking(script(httpx.Response(200, json=job()))[0], url="http://me:secret@service.test/prefix/")
    seen = client.get("job_1")
    assert seen.page_url == "http://service.test/prefix/jobs/job_1"
    assert repr(client) == "Client('http://service.test/prefix')"
    assert Job.model_validate(job()).page_url is None
