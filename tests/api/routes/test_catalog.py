"""Catalog: the listed tasks and methods are those that are accepted."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from fastapi.testclient import TestClient

from pruning.spec.methods import Method
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS
from tests.model_folders import make_model


def is_accepted(client: TestClient, **changes: str) -> bool:
    return client.post("/v1/jobs", json={"model": "m", "task": "sst2", **changes}).status_code == 202


def test_tasks_show_the_specs_defaults(strict_client: TestClient) -> None:
    listing = strict_client.get("/v1/tasks").json()
    tasks = {task["name"]: task for task in listing["data"]}
    assert tasks.keys() == TASKS.keys()
    for name, task in tasks.items():
        assert is_accepted(strict_client, task=name)
        spec = PruningSpec(model="m", task=name).model_dump(mode="json")
        for field in ("label_words", "epochs", "batch_size", "max_length"):
            assert task[field] == spec[field]
    assert "label_words" in listing["custom_task_schema"]["properties"]


def test_local_data_sets_are_marked(client_with: Callable[..., TestClient], tmp_path: Path) -> None:
    (tmp_path / "cola").mkdir()
    tasks = client_with(datasets_dir=tmp_path).get("/v1/tasks").json()["data"]
    assert [task["name"] for task in tasks if task["local"]] == ["cola"]


def test_available_models(client_with: Callable[..., TestClient], tmp_path: Path) -> None:
    make_model(tmp_path / "lab" / "bert")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "notes").mkdir()
    listing = client_with(models_dir=tmp_path, hub_enabled=False).get("/v1/models").json()
    broken, model = listing["data"]
    assert (broken["name"], broken["model_type"], bool(broken["problem"])) == ("broken", None, True)
    assert (model["name"], model["model_type"], model["problem"]) == ("lab/bert", "bert", None)
    assert model["masked_weights"] > 0
    assert listing["hub"] is False
    assert "modernbert" in listing["model_types"]
    without_key = client_with(models_dir=tmp_path, require_keys=True)
    assert without_key.get("/v1/models").status_code == 401
    assert without_key.get("/v1/tasks").status_code == 200


def test_methods(strict_client: TestClient) -> None:
    listing = strict_client.get("/v1/methods").json()
    methods = {method["name"]: method for method in listing["data"]}
    assert methods.keys() == set(get_args(Method))
    for name, method in methods.items():
        assert is_accepted(strict_client, method=name)
        spec = PruningSpec(model="m", task="sst2", method=name)
        assert (method["learning_rate"], method["regularization"]) == (spec.learning_rate, spec.regularization)
    assert [name for name, method in methods.items() if method["sparsity"] == "emerges"] == ["soft-movement", "l0"]
    assert [method["name"] for method in listing["data"] if method["default"]] == ["smp-s"]
    assert listing["spec_schema"]["required"] == ["model", "task"]
    assert {"sparsity", "metadata", "priority"} <= listing["spec_schema"]["properties"].keys()
