"""``espalier predict`` with a service and with a mask file."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from espalier.cli.main import app
from espalier.cli.service_context import ServiceContext
from espalier.client._sync.client import Client
from tests.pruning.runs import make_sources, run_toy

JOB = "job_" + "0" * 26
NOTHING = {"labels": None, "words": None, "entities": None}
ROWS = [
    {"value": 1, "label": "positive", "probabilities": {"negative": 0.25, "positive": 0.75}, **NOTHING},
    {"value": 2.5, "label": None, "probabilities": None, **NOTHING},
    {"value": "an answer", "label": None, "probabilities": None, **NOTHING},
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Requests that a scripted service received."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"job_id": JOB, "task": "sst2", "data": ROWS})

    monkeypatch.setattr(ServiceContext, "client", lambda context: Client(transport=httpx.MockTransport(answer)))
    return requests


def run(*arguments: str, given: str = "") -> Any:
    return CliRunner().invoke(app, ["predict", *arguments], input=given)


def test_predictions_of_a_job_over_http(asked: list[httpx.Request]) -> None:
    done = run(JOB, "a", "b", "c")
    assert done.output == "positive\t0.7500\n2.5000\nan answer\n"
    assert asked[0].url.path == "/v1/jobs/" + JOB + "/predictions"
    assert json.loads(asked[0].content) == {"texts": ["a", "b", "c"]}
    assert json.loads(run(JOB, "a", "--json").output) == ROWS


def test_pairs_and_lines_of_standard_input(asked: list[httpx.Request]) -> None:
    run(JOB, "who?", "when?", "--pair", "me", "--pair", "now")
    run(JOB, given="first\nsecond\n")
    assert json.loads(asked[0].content) == {"texts": [["who?", "me"], ["when?", "now"]]}
    assert json.loads(asked[1].content) == {"texts": ["first", "second"]}
    assert run(JOB, "a", "b", "--pair", "c").exit_code == 2
    assert run(JOB).exit_code == 2


def test_predictions_of_a_mask_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = make_sources(tmp_path / "toys")
    run_toy(sources, tmp_path / "run", max_steps=2)
    mask = str(tmp_path / "run" / "artifacts" / "mask.safetensors")
    monkeypatch.setenv("ESPALIER_MODELS_DIR", str(sources.models_dir))
    done = run(mask, "a fine film")
    assert done.exit_code == 0, done.output
    assert done.stdout.split("\t")[0] in ("negative", "positive")
    assert run(mask, "a", "--pair", "b").exit_code == 2
    assert run(str(tmp_path / "none"), "a").exit_code == 1


def test_labels_and_entities_as_text(asked: list[httpx.Request], monkeypatch: pytest.MonkeyPatch) -> None:
    row: dict[str, Any] = ROWS[1]  # type: ignore[assignment]
    entity = {"type": "PER", "start": 0, "end": 2, "text": "Ann Lee"}
    rows = [
        {**row, "value": [0, 2], "probabilities": {"a": 0.75, "b": 0.25, "c": 0.5}, "labels": ["a", "c"]},
        {**row, "value": [], "probabilities": {"a": 0.25}, "labels": []},
        {**row, "value": ["B-PER", "I-PER", "O"], "words": ["Ann", "Lee", "ran"], "entities": [entity]},
        {**row, "value": ["O"], "words": ["ran"], "entities": []},
    ]
    monkeypatch.setitem(globals(), "ROWS", rows)
    assert run(JOB, "a").output.splitlines() == ["a 0.7500, c 0.5000", "-", "Ann Lee (PER)", "-"]
