"""The main job end to end: service, worker, trainer, plain HTTP, and a mask that predicts as it was trained."""

import base64
import gzip
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from espalier import load_export, load_pruned
from espalier.client._sync.client import Client
from espalier.errors import ApiError
from pruning.formats.mask_file import read
from pruning.inference.pruned_model import PrunedModel
from tests import patient_http
from tests.processes import ROOT
from tests.serving import espalier_serve
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model
from tests.waiting import wait_until
from tests.webhook_receiver import webhook_receiver

SPEC: dict[str, Any] = {
    "model": "toy",
    "task": "sst2",
    "sparsity": 0.75,
    "max_steps": 60,
    "batch_size": 16,
    "max_length": 32,
    "learning_rate": 0.05,
    "checkpoint_every": 20,
    "metadata": {"experiment": "flow"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a models and a data sets directory, as an air-gapped site has them."""
    folder = tmp_path_factory.mktemp("site")
    make_model(folder / "models" / "toy")
    make_opinions(folder / "datasets" / "sst2")
    return folder


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    """``espalier serve`` on a free port; stopped politely."""
    environment = {
        "ESPALIER_HUB_ENABLED": "false",
        "ESPALIER_WEBHOOK_ALLOW_PRIVATE": "true",
        "ESPALIER_WEBHOOK_ALLOW_HTTP": "true",
        "ESPALIER_WEBHOOK_POLL_SECONDS": "0.1",
    }
    with espalier_serve(site, environment) as address:
        yield address


def espalier(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "espalier.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def is_exported_later(url: str, job_id: object, pruned: PrunedModel, texts: list[str], folder: Path) -> None:
    """The real program, in the place of the trainer, from the stored mask and the base model to something that predicts."""
    with Client(url) as client:
        export = client.wait(client.export(str(job_id), ["compact"]), timeout=120)
        assert export.status == "succeeded", export.error
        assert export.result is not None
        (figures,) = export.result["exports"]
        assert (figures["format"], figures["checked_on"], figures["equal"]) == ("compact", "validation", 1.0)
        assert figures["latency"][0]["factor"] > 0
        assert json.loads(client.download(export, "exports.json", folder).read_text()) == export.result
        exported = load_export(client.download(export, "export-compact.zip", folder))
    np.testing.assert_allclose(exported.logits(texts), pruned.logits(texts), rtol=0, atol=1e-4)


def test_post_a_model_and_a_task_and_get_a_mask(url: str, site: Path, tmp_path: Path) -> None:
    assert patient_http.get(f"{url}/readyz").status_code == 200
    posted = patient_http.post(f"{url}/v1/jobs", json=SPEC)
    assert posted.status_code == 202
    job_url = url + posted.headers["location"]
    assert posted.json()["spec"]["label_words"] == ["terrible", "great"]
    phases = set()

    def ended() -> Any:
        job = patient_http.get(job_url).json()
        phases.add(job["phase"])
        return job if job["status"] in ("succeeded", "failed", "cancelled") else None

    job = wait_until(ended, seconds=120, what="the job's end")
    assert job["status"] == "succeeded", job["error"]
    assert job["progress"]["step"] == job["progress"]["total_steps"] == 60
    assert job["metadata"] == {"experiment": "flow"}
    mask = tmp_path / "mask.safetensors"
    mask.write_bytes(patient_http.get(f"{job_url}/artifacts/mask.safetensors").raise_for_status().content)
    masks, info = read(mask)
    assert info.density == pytest.approx(0.25, abs=0.001)
    assert sum(int(bits.sum()) for bits in masks.values()) == job["result"]["kept_weights"]
    metrics = patient_http.get(f"{job_url}/metrics").json()["data"]
    assert max(row["step"] for row in metrics) == 60
    events = patient_http.get(f"{job_url}/events").json()["data"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))

    predictions = patient_http.get(f"{job_url}/artifacts/predictions.jsonl").text.splitlines()
    trained = np.array([json.loads(line)["logits"] for line in predictions], dtype=np.float32)
    pruned = load_pruned(mask, models_dir=site / "models")
    rows = [json.loads(line) for line in (site / "datasets/sst2/validation.jsonl").read_text().splitlines()]
    again = pruned.logits([row["sentence"] for row in rows])
    np.testing.assert_array_equal(again, trained)
    accuracy = float(np.mean(again.argmax(axis=1) == np.array([row["label"] for row in rows])))
    assert accuracy == info.metrics["accuracy"] == job["result"]["final"]["accuracy"]
    is_exported_later(url, job["id"], pruned, [row["sentence"] for row in rows[:8]], tmp_path)


def test_upload_rows_and_get_a_mask_for_them(url: str, site: Path, tmp_path: Path) -> None:
    """A custom task on an uploaded data set: CSV for one split, packed JSONL for the other, class names as labels."""
    names = ("bad", "good")
    rows = [json.loads(line) for line in (site / "datasets/sst2/train.jsonl").read_text().splitlines()[:64]]
    lines = ["text,opinion", *(f'"{row["sentence"]}",{names[row["label"]]}' for row in rows)]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    held_out = [{"opinion": names[row["label"]], "text": row["sentence"]} for row in rows[:16]]
    packed = gzip.compress("\n".join(json.dumps(row) for row in held_out).encode())
    (tmp_path / "dev.jsonl.gz").write_bytes(packed)
    with Client(url) as client:
        dataset = client.upload_dataset(train=tmp_path / "train.csv", validation=tmp_path / "dev.jsonl.gz", name="opinions")
        task = {
            "dataset": dataset.id,
            "text": ["text"],
            "label": "opinion",
            "labels": list(names),
            "label_words": ["terrible", "great"],
        }
        job = client.wait(client.submit(**(SPEC | {"task": task, "max_steps": 8, "batch_size": 8})), timeout=120)
        assert job.status == "succeeded", job.error
        mask = client.download(job, path=tmp_path)
        assert read(mask)[1].metrics["accuracy"] == job.result["final"]["accuracy"]  # type: ignore[index]
        assert (site / "data" / "datasets" / dataset.id / "validation.jsonl.gz").is_file()
        client.delete_dataset(dataset)
        with pytest.raises(ApiError) as refused:
            client.submit(**(SPEC | {"task": task}))
        assert refused.value.code == "dataset_not_found"


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"task": "nope"}, "unknown_task", "/task"),
        ({"sparsity": 1.0}, "less_than", "/sparsity"),
        ({"model": "absent"}, "model_not_found", "/model"),
        ({"label_words": ["incredible", "great"]}, "label_word_unknown", "/label_words/0"),
    ],
)
def test_bad_input_is_refused_before_any_work(url: str, change: dict[str, object], code: str, pointer: str) -> None:
    with Client(url) as client:
        before = len(list(client.list()))
        answer = patient_http.post(f"{url}/v1/jobs", json=SPEC | change)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        fault = answer.json()["errors"][0]
        assert (fault["code"], fault["pointer"]) == (code, pointer)
        assert len(list(client.list())) == before


def test_a_row_that_cannot_be_trained_on_is_refused_at_submission(url: str, site: Path) -> None:
    rows = [{"sentence": "fine", "label": 7, "idx": 0}]
    folder = site / "datasets" / "odd"
    folder.mkdir()
    for split in ("train", "validation"):
        (folder / f"{split}.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    task = {"dataset": "odd", "text": ["sentence"], "label_words": ["terrible", "great"]}
    with Client(url) as client, pytest.raises(ApiError) as refusal:
        client.submit(**(SPEC | {"task": task}))
    assert (refusal.value.code, refusal.value.param) == ("labels_mismatch", "label_words")


def test_an_error_found_by_the_trainer_fails_the_job_with_a_remedy(url: str, site: Path) -> None:
    """Values of weights are read by the trainer alone; everything else on disk is checked before acceptance."""
    folder = make_model(site / "models" / "not-a-number")
    weights = load_file(folder / "model.safetensors")
    next(iter(weights.values())).fill_(math.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with Client(url) as client:
        job = client.wait(client.submit(**(SPEC | {"model": "not-a-number"})), timeout=60)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param, job.error.kind) == ("model_weights_damaged", "model", "user")
    assert job.attempt == 1


def test_a_sweep_from_the_command_line_to_its_figure_with_a_message_for_each_job(url: str, tmp_path: Path) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    with webhook_receiver() as receiver:
        grid = {
            "base": {name: value for name, value in SPEC.items() if name != "sparsity"}
            | {"max_steps": 6, "webhook": {"url": receiver.url, "secret": secret}},
            "methods": ["smp-s", "random"],
            "sparsities": [0.75],
        }
        (tmp_path / "grid.json").write_text(json.dumps(grid))
        done = espalier("sweep", str(tmp_path / "grid.json"), "--watch", "--json", "--url", url)
        assert done.returncode == 0, done.stderr
        sweep = json.loads(done.stdout)
        assert (sweep["status"], sweep["progress"], sweep["jobs"]["succeeded"]) == ("ended", 1.0, 2)
        means = {mean["method"]: mean for mean in sweep["results"]["means"]}
        assert {method: mean["remaining"] for method, mean in means.items()} == pytest.approx(
            {"smp-s": 0.25, "random": 0.25}, abs=0.001
        )
        wait_until(lambda: len(receiver.requests) == 2, what="a message for each job")
        notified = {receiver.verified(secret, number)["data"]["id"] for number in range(2)}
        assert notified == {row["job_id"] for row in sweep["results"]["rows"]}
    drawn = espalier("sweep", "plot", sweep["id"], "-o", str(tmp_path / "plot.png"), "--url", url)
    assert drawn.stdout.strip() == str(tmp_path / "plot.png"), drawn.stderr
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with Client(url) as client:
        assert b">smp-s</text>" in client.sweep_plot(sweep["id"], tmp_path / "plot.svg").read_bytes()
        assert client.sweep_csv(sweep["id"]).count("succeeded") == 2
        assert sweep["id"] in [each.id for each in client.sweeps()]
        client.delete_sweep(sweep["id"])
        assert list(client.sweeps()) == []
