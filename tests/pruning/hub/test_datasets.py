"""Data sets from a hub: columns of a split, and every failure in words; against a real server."""

import json
import subprocess
import sys
from pathlib import Path

from tests import toy_datasets
from tests.fake_hub import FakeHub, serving
from tests.pruning.hub.test_models import environment
from tests.pruning.runs import ROOT


def test_data_sets_of_the_hub_are_read_or_refused_in_words(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.publish("datasets/org/opinions", toy_datasets.make_opinions(tmp_path / "data", train=8, validation=4))
    ask_rows = """
import json, sys
from pruning.errors import PruningError
from pruning.hub.datasets import load_hub_split
from pruning.spec.tasks import CustomTask, resolve_task
for name, column, split, limit in json.load(sys.stdin):
    try:
        task = resolve_task(CustomTask(dataset=name, text=[column], label_words=["bad", "good"]))
        print(json.dumps({key: len(values) for key, values in load_hub_split(task, split, limit).items()}))
    except PruningError as failure:
        print(json.dumps([type(failure).__name__, failure.code, failure.param]))
"""
    wanted = [
        ("org/opinions", "sentence", "train", 3),
        ("org/opinions", "sentence", "validation", None),
        ("org/opinions", "text", "train", None),
        ("org/opinions", "sentence", "dev", None),
        ("org/unheard", "sentence", "train", None),
    ]
    with serving(hub):
        process = subprocess.run(
            [sys.executable, "-c", ask_rows], cwd=ROOT, env=environment(hub, tmp_path / "home"),
            input=json.dumps(wanted).encode(), capture_output=True, timeout=120, check=True,
        )  # fmt: skip
    assert [json.loads(line) for line in process.stdout.splitlines()] == [
        {"sentence": 3, "label": 3},
        {"sentence": 4, "label": 4},
        ["PermanentError", "column_missing", "task"],
        ["PermanentError", "split_missing", "task"],
        ["PermanentError", "dataset_not_found", "task"],
    ]
