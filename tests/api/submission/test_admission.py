"""Admission: jobs that cannot succeed are refused at submission, with the field to change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pruning.models.masked_shapes import masked_shapes
from tests.api.problems import Response, assert_problem
from tests.fake_hub import FakeHub, serving
from tests.model_folders import make_model, write_rows

BODY = {"model": "small", "task": "sst2"}
CUSTOM = {"dataset": "tickets", "text": ["body"], "label": "queue", "label_words": ["yes", "no"]}
Post = Callable[..., Response]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    make_model(tmp_path / "models" / "small")
    return tmp_path / "models"


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    for split in ("train", "validation"):
        write_rows(tmp_path / "datasets" / "sst2" / f"{split}.jsonl.gz", [{"sentence": "x", "label": 1}])
        write_rows(tmp_path / "datasets" / "tickets" / f"{split}.jsonl", [{"body": "x", "queue": 1}])
    return tmp_path / "datasets"


@pytest.fixture
def post(client_with: Callable[..., TestClient], models: Path, datasets: Path) -> Post:
    """Posts a body that differs from BODY to a service that knows the local folders alone."""
    client = client_with(models_dir=models, datasets_dir=datasets, hub_enabled=False)
    return lambda **changes: client.post("/v1/jobs", json=BODY | changes)


def fault(answer: Response, code: str) -> dict[str, Any]:
    (found,) = assert_problem(answer, 422, code)["errors"]
    assert found["code"] == code
    return dict(found)


def test_local_names_that_fit_are_accepted(post: Post) -> None:
    for task in ("sst2", CUSTOM):
        answer = post(task=task)
        assert answer.status_code == 202, answer.text


def test_a_model_that_does_not_exist(post: Post) -> None:
    found = fault(post(model="smoll"), "model_not_found")
    assert found["pointer"] == "/model"
    assert "small" in found["detail"]


def test_a_data_set_that_does_not_exist(post: Post) -> None:
    assert fault(post(task="rte", label_words=["yes", "no"]), "dataset_not_found")["pointer"] == "/task"
    found = fault(post(task=CUSTOM | {"dataset": "tikkets"}), "dataset_not_found")
    assert found["pointer"] == "/task/dataset"
    assert "tickets" in found["detail"]


def test_with_a_hub_other_names_are_left_to_the_trainer(
    client_with: Callable[..., TestClient], models: Path, datasets: Path
) -> None:
    client = client_with(models_dir=models, datasets_dir=datasets, hub_enabled=True)
    assert client.post("/v1/jobs", json={"model": "org/other", "task": "mnli"}).status_code == 202
    words = {"model": "small", "task": "sst2", "label_words": ["unrelated", "great"]}
    fault(client.post("/v1/jobs", json=words), "label_word_unknown")


def test_a_name_with_one_slip_is_refused_when_no_hub_answers(
    client_with: Callable[..., TestClient], models: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    make_model(models / "minilm-l6-mlm")
    client = client_with(models_dir=models, datasets_dir=datasets, hub_enabled=True)
    found = fault(client.post("/v1/jobs", json={"model": "minilm-l6-mml", "task": "sst2"}), "model_not_found")
    assert found["pointer"] == "/model"
    assert '"minilm-l6-mlm"' in found["detail"]
    found = fault(client.post("/v1/jobs", json=BODY | {"teacher": "smal"}), "model_not_found")
    assert found["pointer"] == "/teacher"
    for name in ("minilm-l12-mlm", "org/minilm-l6-mml", "something"):
        assert client.post("/v1/jobs", json={"model": name, "task": "sst2"}).status_code == 202


def test_a_hub_model_is_refused_by_its_configuration_on_the_hub(
    client_with: Callable[..., TestClient], models: Path, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub()
    quantized = make_model(tmp_path / "quantized", config={"quantization_config": {"quant_method": "gptq"}})
    hub.publish("smal", make_model(tmp_path / "complete"))
    hub.publish("smll", quantized)
    client = client_with(models_dir=models, datasets_dir=datasets, hub_enabled=True)
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert client.post("/v1/jobs", json=BODY | {"model": "smal"}).status_code == 202
        found = fault(client.post("/v1/jobs", json=BODY | {"model": "smll"}), "model_quantized")
        assert found["pointer"] == "/model"
        found = fault(client.post("/v1/jobs", json=BODY | {"teacher": "smll"}), "model_quantized")
        assert found["pointer"] == "/teacher"


def test_a_teacher_in_the_models_directory_is_checked_too(post: Post, models: Path) -> None:
    teacher = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "C++", "1": "C"}}
    make_model(models / "teacher", head=False, tensors=["classifier.weight"], config=teacher)
    found = fault(post(teacher="teacher"), "labels_mismatch")
    assert found["pointer"] == "/teacher"
    assert "C++" in found["detail"]
    assert post(teacher="teacher", teacher_labels=["positive", "negative"]).status_code == 202
    assert fault(post(teacher="techer"), "model_not_found")["pointer"] == "/teacher"


def test_no_directories_at_all(client_with: Callable[..., TestClient]) -> None:
    assert client_with().post("/v1/jobs", json=BODY).status_code == 202
    fault(client_with(hub_enabled=False).post("/v1/jobs", json=BODY), "model_not_found")


@pytest.mark.parametrize("name", ["../models/small", "..", "small/..", "/etc", "a/../small", "small/", "a/b/c"])
def test_names_that_are_paths(post: Post, name: str) -> None:
    assert fault_code(post(model=name)) == "model_name"
    assert post(task=CUSTOM | {"dataset": name}).status_code == 422
    assert post(task=CUSTOM | {"train_split": name}).status_code == 422


def fault_code(answer: Response) -> str:
    return str(assert_problem(answer, 422, "invalid_request")["errors"][0]["code"])


def test_a_missing_head(post: Post, models: Path) -> None:
    make_model(models / "headless", head=False)
    assert fault(post(model="headless"), "model_head_missing")["pointer"] == "/model"


def test_pooling_that_a_model_does_not_have(post: Post, models: Path) -> None:
    make_model(models / "decoder", model_type="gpt2")
    pooled = {"head": "classifier", "pooling": "mean"}
    assert fault(post(model="decoder", **pooled), "pooling_unsupported")["pointer"] == "/pooling"
    assert post(**pooled).status_code == 202


def test_label_word_faults_point_to_the_field_that_has_them(post: Post) -> None:
    assert fault(post(label_words=["great", "zebra"]), "label_word_unknown")["pointer"] == "/label_words/1"
    custom = CUSTOM | {"label_words": ["zebra", "no"]}
    assert fault(post(task=custom), "label_word_unknown")["pointer"] == "/task/label_words/0"
    both = post(task=CUSTOM, label_words=["yes", "zebra"])
    assert fault(both, "label_word_unknown")["pointer"] == "/label_words/1"


def test_faults_of_several_words_and_of_pieces_point_to_the_word(post: Post) -> None:
    several = [["great", "maybe"], ["terrible", "unrelated"]]
    assert fault(post(label_words=several), "label_word_unknown")["pointer"] == "/label_words/1/1"
    custom = CUSTOM | {"label_words": several}
    assert fault(post(task=custom), "label_word_unknown")["pointer"] == "/task/label_words/1/1"
    assert post(label_words=several, label_word_pieces="mean").status_code == 202
    answer = post(label_words=[["great", ""], "terrible"])
    [found] = assert_problem(answer, 422, "invalid_request")["errors"]
    assert found["pointer"] == "/label_words/0/1"


def test_columns(post: Post) -> None:
    found = fault(post(task=CUSTOM | {"label": "category"}), "column_missing")
    assert found["pointer"] == "/task/label"
    assert "body, queue" in found["detail"]
    assert fault(post(task=CUSTOM | {"text": ["subject"]}), "column_missing")["pointer"] == "/task/text/0"


def test_splits(post: Post, datasets: Path) -> None:
    found = fault(post(task=CUSTOM | {"validation_split": "dev"}), "split_missing")
    assert found["pointer"] == "/task/validation_split"
    assert "train, validation" in found["detail"]
    (datasets / "sst2" / "validation.jsonl.gz").rename(datasets / "sst2" / "dev.jsonl.gz")
    found = fault(post(), "split_missing")
    assert found["pointer"] == "/task"
    assert 'validation_split: "dev"' in found["detail"]


def test_a_share_of_the_only_split_is_held_out(post: Post, datasets: Path) -> None:
    (datasets / "sst2" / "validation.jsonl.gz").unlink()
    assert post().json()["spec"]["validation_share"] == 0.1
    assert post(validation_share=0.25).json()["spec"]["validation_share"] == 0.25


def test_more_steps_than_can_be_counted(client_with: Callable[..., TestClient]) -> None:
    client = client_with()
    body = {"model": "org/name", "task": "mnli", "epochs": 10_000, "batch_size": 1}
    found = fault(client.post("/v1/jobs", json=body), "schedule_too_long")
    assert found["pointer"] == "/epochs"
    assert " epochs" in found["detail"]
    for fits in ({"epochs": 10}, {"batch_size": 64}, {"train_rows": 1000}):
        answer = client.post("/v1/jobs", json=body | fits)
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"sparsity_by": {"encoder.layer.9.*": 0.5}}, "sparsity_by_unmatched"),
        ({"sparsity_by": {"*.attention.*": 0.1, "layer.*": 0.2, "encoder.*": 0.3}}, "sparsity_by_ambiguous"),
        ({"sparsity_by": {"*.attention.*": 0.0}}, "sparsity_by_unreachable"),
    ],
)
def test_patterns_that_do_not_fit_a_local_model_are_refused(post: Post, fields: dict[str, Any], code: str) -> None:
    assert fault(post(**fields), code)["pointer"] == "/sparsity_by"


def test_patterns_that_fit_are_accepted_and_a_dry_run_says_what_they_decide(
    client_with: Callable[..., TestClient], models: Path, datasets: Path
) -> None:
    client = client_with(models_dir=models, datasets_dir=datasets, hub_enabled=False)
    body = BODY | {"sparsity": 0.5, "sparsity_by": {"*.attention.*": 0.25, "encoder.layer.0.attention.self.query": 0}}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"]["sparsity_by"] == body["sparsity_by"]
    found = client.post("/v1/jobs", params={"dry_run": "true"}, json=body).json()
    shapes = masked_shapes(models / "small")
    weights = {path: rows * columns for path, (rows, columns) in shapes.items()}
    attention, query, others = found["sparsity_by"]
    assert (attention["pattern"], attention["sparsity"]) == ("*.attention.*", 0.25)
    assert query["matrices"] == ["bert.encoder.layer.0.attention.self.query"]
    assert {*attention["matrices"], *query["matrices"], *others["matrices"]} == {*shapes}
    assert others["pattern"] is None
    removed = sum(share["sparsity"] * share["weights"] for share in found["sparsity_by"])
    assert removed == pytest.approx(0.5 * found["masked_weights"], abs=len(shapes))
    assert sum(share["weights"] for share in found["sparsity_by"]) == sum(weights.values()) == found["masked_weights"]
    plain = client.post("/v1/jobs", params={"dry_run": "true"}, json=BODY).json()
    assert plain["sparsity_by"] == []


def test_every_combination_of_a_sweep_is_checked(client_with: Callable[..., TestClient], models: Path, datasets: Path) -> None:
    client = client_with(models_dir=models, datasets_dir=datasets, hub_enabled=False)
    sweep = {"base": BODY | {"sparsity_by": {"*.attention.*": 0.25}}, "methods": ["smp-l"], "sparsities": [0.4, 0.99]}
    (found,) = assert_problem(client.post("/v1/sweeps", json=sweep), 422, "sparsity_by_unreachable")["errors"]
    assert found["pointer"] == "/base/sparsity_by"
    assert client.post("/v1/sweeps", json=sweep | {"sparsities": [0.4]}).status_code == 202
