"""Kinds of tasks end to end: rows are uploaded, a job trains on them, its mask and export predict as it was trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from espalier import load_export, load_pruned
from espalier.client._sync.client import Client
from espalier.client.models import Job
from espalier.errors import ApiError
from pruning.export.run import run_exports
from pruning.inference.pruned_model import PrunedModel
from pruning.sources import Sources
from tests import toy_datasets
from tests.processes import ModuleProcess
from tests.toy_datasets import TOPICS, read_lines
from tests.toy_models import make_model
from tests.toy_tagged import TAGS, tagged

SPEC: dict[str, Any] = {
    "model": "toy",
    "sparsity": 0.5,
    "max_steps": 100,
    "batch_size": 16,
    "max_length": 32,
    "learning_rate": 0.05,
    "weight_learning_rate": 0.02,
    "dropout": 0.0,
    "regularization": 20,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a models directory."""
    folder = tmp_path_factory.mktemp("site")
    make_model(folder / "models" / "toy")
    return folder


@pytest.fixture(scope="module")
def client(site: Path) -> Iterator[Client]:
    """A client of ``espalier serve`` on a free port."""
    environment = {"ESPALIER_MODELS_DIR": str(site / "models"), "ESPALIER_HUB_ENABLED": "false", "ESPALIER_TRAINER_THREADS": "1"}
    arguments = ["espalier.cli", "serve", "--port", "0", "--data-dir", str(site / "data")]
    with ModuleProcess(arguments, environment, site / "logs", "serve") as serve:
        line = serve.wait_for_line("Espalier listens on", seconds=60)
        with Client(line.split("listens on ")[1].split()[0]) as client:
            yield client
        serve.process.terminate()
        assert serve.wait(60) == 0


class Trained:
    """A job that has succeeded on uploaded rows, its mask, and its export, or else one made on this machine."""

    def __init__(
        self, client: Client, site: Path, folder: Path, rows: dict[str, list[Any]], fields: Any = None, **task: Any
    ) -> None:
        toy_datasets.write_splits(folder, rows)
        files: dict[str, Any] = {name: folder / f"{name}.jsonl" for name in rows}
        self.dataset = client.upload_dataset(**files).id
        job = client.submit(**{**SPEC, **(fields or {}), "task": {"dataset": self.dataset, **task}})
        self.job: Job = client.wait(job, timeout=120)
        assert self.job.status == "succeeded", self.job.error
        if self.job.result is not None and self.job.result["weights_changed"]:  # a new head is trained, too
            client.download(self.job, "weights.safetensors", folder)
        mask = client.download(self.job, "mask.safetensors", folder)
        self.pruned: PrunedModel = load_pruned(mask, models_dir=site / "models")
        if "exports" in (fields or {}):
            self.exported: PrunedModel = load_export(client.download(self.job, "export-compact.zip", folder))
        else:
            run_exports(mask, ["compact"], folder / "exports", model=site / "models" / "toy", sources=Sources(hub=False))
            self.exported = load_export(folder / "exports" / "compact")
        self.written = read_lines(client.download(self.job, "predictions.jsonl", folder))

    @property
    def final(self) -> dict[str, float]:
        """Metrics of the final mask."""
        assert self.job.result is not None
        found: dict[str, float] = self.job.result["final"]
        return found


def of(trained: Trained, task: dict[str, Any], **changes: Any) -> Any:
    """The task on the uploaded rows."""
    return {"dataset": trained.dataset, **task, **changes}


def test_multilabel(client: Client, site: Path, tmp_path: Path) -> None:
    rows = {"train": toy_datasets.topics(192, 1), "validation": toy_datasets.topics(32, 2)}
    task: dict[str, Any] = {"text": ["text"], "label": "topics", "kind": "multilabel", "labels": list(TOPICS)}
    trained = Trained(client, site, tmp_path, rows, **task, fields={"exports": ["compact"]})
    assert trained.final["micro_f1"] > 0.7
    texts = [row["text"] for row in rows["validation"]]
    answers = client.predict(trained.job, texts)
    assert [answer.value for answer in answers] == [row["prediction"] for row in trained.written]
    expected = trained.pruned.predictions(texts)
    assert [answer.labels for answer in answers] == [found.labels for found in expected]
    for answer, found, exported in zip(answers, expected, trained.exported.predictions(texts), strict=True):
        assert answer.probabilities == pytest.approx(found.probabilities, abs=1e-6)
        assert exported.probabilities == pytest.approx(found.probabilities, abs=1e-4)
    with pytest.raises(ApiError) as refused:
        client.submit(**SPEC, task=of(trained, task, labels=["praise", "blame"]))
    assert (refused.value.code, refused.value.param) == ("labels_mismatch", "task.labels")


def test_token_classification(client: Client, site: Path, tmp_path: Path) -> None:
    rows = {"train": tagged(160, 1), "validation": tagged(32, 2)}
    task: dict[str, Any] = {"text": ["words"], "label": "tags", "kind": "token-classification"}
    trained = Trained(client, site, tmp_path, rows, **task)
    assert trained.final["f1"] > 0.7
    assert trained.pruned.labels == TAGS
    words = [row["words"] for row in rows["validation"]]
    answers = client.predict(trained.job, words)
    assert [answer.value for answer in answers] == [row["prediction"] for row in trained.written]
    assert trained.exported.predict(words) == [answer.value for answer in answers]
    for answer, found in zip(answers, trained.pruned.predictions(words), strict=True):
        assert [entity.model_dump() for entity in answer.entities or ()] == found.entities
    as_texts = client.predict(trained.job, [" ".join(row) for row in words])
    assert [answer.value for answer in as_texts] == [answer.value for answer in answers]
    with pytest.raises(ApiError) as refused:
        client.predict(trained.job, [["a", ""]])
    assert (refused.value.code, refused.value.param) == ("text_shape", "texts.0")
    with pytest.raises(ApiError) as refused:
        client.submit(**SPEC, task=of(trained, task, labels=["O", "B-JOY", "I-JOY"]))
    assert (refused.value.code, refused.value.param) == ("labels_mismatch", "task.labels")


def test_questions_that_may_have_no_answer(client: Client, site: Path, tmp_path: Path) -> None:
    rows = {"train": toy_datasets.questions(96, 1), "validation": toy_datasets.questions(32, 2)}
    task: dict[str, Any] = {"text": ["question", "context"], "label": "answers", "kind": "span"}
    trained = Trained(client, site, tmp_path, rows, **task, fields={"stride": 8, "max_length": 40, "max_steps": 60})
    assert trained.final["best_f1"] >= trained.final["f1"]
    assert {"HasAns_f1", "NoAns_f1", "best_exact_thresh"} <= trained.final.keys()
    pairs = [(row["question"], row["context"]) for row in rows["validation"]]
    answers = [answer.value for answer in client.predict(trained.job, pairs)]
    assert answers == [row["prediction"] for row in trained.written]
    assert answers == trained.pruned.predict(*zip(*pairs, strict=True))
    assert answers == trained.exported.predict(*zip(*pairs, strict=True))
    with pytest.raises(ApiError) as refused:
        client.submit(**SPEC, task=of(trained, task, text=["context", "question"]), stride=8)
    assert (refused.value.code, refused.value.param) == ("rows_invalid", "task.label")
