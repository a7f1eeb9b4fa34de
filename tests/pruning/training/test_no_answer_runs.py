"""Questions that may have no answer: custom span tasks and ``squad_v2``, from rows to a mask that says when there is none."""

from pathlib import Path
from typing import Any

import pytest

from pruning.data.squad_v2 import question_f1
from pruning.errors import PermanentError
from pruning.export.run import run_exports
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests import toy_datasets
from tests.pruning.runs import finished, make_sources, run_toy, same_masks
from tests.toy_datasets import questions, read_lines

TASK: dict[str, Any] = {"dataset": "questions", "text": ["question", "context"], "label": "answers", "kind": "span"}
FIELDS: dict[str, Any] = {"max_length": 40, "stride": 8, "batch_size": 8, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    rows = {"train": questions(96, 1), "validation": questions(32, 2)}
    for name in ("questions", "squad_v2"):
        toy_datasets.write_splits(root / "datasets" / name, rows)
    return make_sources(root)


@pytest.fixture(scope="module")
def trained(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("trained")
    events = run_toy(sources, work, task=TASK, **{**FIELDS, "max_steps": 40})
    result = finished(events)
    assert result["primary_metric"] == "f1"
    assert list(result["final"]) == [
        "f1",
        "exact",
        "HasAns_exact",
        "HasAns_f1",
        "NoAns_exact",
        "NoAns_f1",
        "best_exact",
        "best_exact_thresh",
        "best_f1",
        "best_f1_thresh",
    ]
    assert result["final"]["best_f1"] >= result["final"]["f1"]
    return work / "artifacts"


def test_the_mask_answers_as_the_run_did(sources: Sources, trained: Path) -> None:
    pruned = load_pruned(trained / "mask.safetensors", sources=sources)
    assert (pruned.info.kind, pruned.info.head, pruned.info.label_words) == ("span", "span", ("Yes", "No"))
    assert pruned.threshold == pruned.info.no_answer_threshold == pruned.info.metrics["best_f1_thresh"]
    assert evaluate_mask(pruned, sources) == pruned.info.metrics
    rows, written = questions(32, 2), read_lines(trained / "predictions.jsonl")
    assert [row["label"] for row in written] == [row["answers"] for row in rows]
    again = pruned.predict([row["question"] for row in rows], [row["context"] for row in rows])
    assert again == [row["prediction"] for row in written]
    scores = [question_f1(answer, row["answers"]["text"]) for answer, row in zip(again, rows, strict=True)]
    assert sum(scores) / len(scores) == pytest.approx(pruned.info.metrics["best_f1"])
    assert sources.models_dir is not None
    bank = MaskBank(sources.models_dir / "bert")
    bank.add("questions", trained / "mask.safetensors")
    assert bank.predict("questions", [row["question"] for row in rows], [row["context"] for row in rows]) == again


def test_the_task_by_name_and_the_custom_one_are_the_same(sources: Sources, tmp_path: Path) -> None:
    for name, task in (("custom", TASK), ("named", "squad_v2")):
        run_toy(sources, tmp_path / name, task=task, **FIELDS)
    assert same_masks(tmp_path / "custom", tmp_path / "named")


def test_an_export_answers_alike(sources: Sources, trained: Path, tmp_path: Path) -> None:
    (entry,) = run_exports(trained / "mask.safetensors", ["compact"], tmp_path, sources=sources)
    assert (entry.equal, entry.checked_on) == (1.0, "validation")


@pytest.mark.parametrize(
    "answers", [None, "x", {"text": ["x"]}, {"text": ["x"], "answer_start": [0]}, {"text": ["a", "zz"], "answer_start": [0, 1]}]
)
def test_answers_that_are_not_in_the_context_are_named(sources: Sources, tmp_path: Path, answers: Any) -> None:
    rows = questions(6, 1)
    rows[2] |= {"context": "a film", "answers": answers}
    toy_datasets.write_splits(tmp_path / "datasets" / "questions", {"train": rows, "validation": questions(6, 2)})
    with pytest.raises(PermanentError, match=r"row 3 .*'train'") as caught:
        run_toy(Sources(sources.models_dir, tmp_path / "datasets", hub=False), tmp_path / "work", task=TASK, **FIELDS)
    assert caught.value.code == "rows_invalid"
