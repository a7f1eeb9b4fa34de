"""The log of a run says which label was read as which class, for every split."""

from pathlib import Path

import torch

from pruning.events import Event, LogEvent
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training.inputs import load_inputs
from tests import toy_architectures, toy_datasets


def test_the_classes_that_were_read_are_logged(tmp_path: Path) -> None:
    toy_architectures.make_classifier(tmp_path / "models" / "m", ("1", "2", "3"))
    rows = [{"body": row["sentence"], "stars": 1 + row["label"]} for row in toy_datasets.opinions(8, 1)]
    toy_datasets.write_splits(tmp_path / "datasets" / "d", {"train": rows, "validation": rows[:1]})
    task = {"dataset": "d", "text": ["body"], "label": "stars", "labels": ["1", "2", "3"]}
    spec = PruningSpec.model_validate({"model": "m", "task": task, "head": "classifier", "max_steps": 2})
    events: list[Event] = []
    sources = Sources(models_dir=tmp_path / "models", datasets_dir=tmp_path / "datasets", hub=False)
    inputs = load_inputs(spec, sources, events.append, torch.device("cpu"))
    assert set(inputs.train.labels.tolist()) == {0, 1}
    logged = [event.message for event in events if isinstance(event, LogEvent)]
    assert "split train: labels in column 'stars': 1 is class 0 (1), 2 is class 1 (2)" in logged
    assert any(message.startswith("split validation: labels in column") for message in logged)
