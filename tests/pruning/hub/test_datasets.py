"""Hub data sets are read from the commit's own files; refusals are permanent unless they can pass. Against a real server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tests import toy_datasets
from tests.fake_hub import FakeHub, serving
from tests.pruning.hub.test_models import environment
from tests.pruning.runs import ROOT

READ = """
import json, sys
from pruning.data.reader import load_rows
from pruning.errors import PruningError
from pruning.sources import Sources
from pruning.spec.tasks import resolve_task
from pruning.spec.custom_task import CustomTask
for given, split, limit in json.load(sys.stdin):
    try:
        rows = load_rows(resolve_task(CustomTask(**given)), split, Sources(), limit)
        print(json.dumps([rows.labels, *rows.notes]))
    except PruningError as failure:
        print(json.dumps([type(failure).__name__, failure.code, failure.message]))
"""
TASK: dict[str, Any] = {"text": ["sentence"], "label_words": ["bad", "good"]}


def read(hub: FakeHub, home: Path, *wanted: tuple[dict[str, Any], str, int | None]) -> list[list[Any]]:
    with serving(hub):
        process = subprocess.run(
            [sys.executable, "-c", READ],
            cwd=ROOT,
            env=environment(hub, home),
            input=json.dumps(wanted).encode(),
            capture_output=True,
            timeout=120,
            check=True,
        )
    return [json.loads(line) for line in process.stdout.splitlines()]


def publish(hub: FakeHub, folder: Path, name: str, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    hub.publish(f"datasets/{name}", folder / name)


def rows_of(*labels: Any) -> str:
    return "".join(json.dumps({"sentence": "x", "label": label}) + "\n" for label in labels)


def named_parquet(file: Path, names: list[str], labels: list[int]) -> bytes:
    features = {"sentence": {"dtype": "string", "_type": "Value"}, "label": {"names": names, "_type": "ClassLabel"}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pyarrow.table({"sentence": ["x"] * len(labels), "label": labels}).replace_schema_metadata(about)
    parquet.write_table(table, file)
    return file.read_bytes()


def test_data_sets_of_the_hub_are_read_or_refused_with_a_code(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.publish("datasets/org/opinions", toy_datasets.make_opinions(tmp_path / "data", train=8, validation=4))
    opinions = TASK | {"dataset": "org/opinions"}
    asked: list[tuple[dict[str, Any], str, int | None]] = [
        (opinions, "train", 3),
        (opinions, "validation", None),
        (opinions | {"text": ["text"]}, "train", None),
        (opinions, "test", None),
        (TASK | {"dataset": "org/unheard"}, "train", None),
    ]
    found = read(hub, tmp_path / "home", *asked)
    assert [len(answer[0]) for answer in found[:2]] == [3, 4]
    assert "train.jsonl" in found[0][1]
    assert [answer[:2] for answer in found[2:]] == [
        ["PermanentError", "column_missing"],
        ["SplitMissingError", "split_missing"],
        ["PermanentError", "dataset_not_found"],
    ]


def test_every_format_is_read(tmp_path: Path) -> None:
    hub = FakeHub()
    array = json.dumps([{"sentence": "x", "label": 1}, {"sentence": "y", "label": 0}], indent=1)
    files: dict[str, dict[str, str | bytes]] = {
        "csv": {"train.csv": "sentence;label\nx;1\ny;0\n"},
        "json": {"train.json": array},
        "lines": {"train.json": rows_of(1, 0)},
        "shards": {"data/train-00000-of-00002.jsonl": rows_of(1), "data/train-00001-of-00002.jsonl": "\n" + rows_of(0) + "\n"},
        "parquet": {"train.parquet": named_parquet(tmp_path / "p", ["bad", "good"], [1, 0])},
    }
    for name, content in files.items():
        publish(hub, tmp_path, f"org/{name}", content)
    found = read(hub, tmp_path / "home", *((TASK | {"dataset": f"org/{name}"}, "train", None) for name in files))
    assert [answer[0] for answer in found] == [[1, 0]] * len(files)
    assert "train.csv: cells are separated by semicolon" in found[0]
    assert "the data set names its classes 0 = bad, 1 = good" in found[-1]


def test_names_of_class_ids_decide(tmp_path: Path) -> None:
    hub = FakeHub()
    publish(hub, tmp_path, "org/stored", {"train.parquet": named_parquet(tmp_path / "p", ["neg", "pos"], [0, 1, 1])})
    publish(hub, tmp_path, "org/card", {"train.jsonl": rows_of(0, 1, 1)})
    label = {"name": "label", "dtype": {"class_label": {"names": {"0": "neg", "1": "pos"}}}}
    hub.cards["datasets/org/card"] = {"dataset_info": {"features": [{"name": "sentence", "dtype": "string"}, label]}}
    tasks: list[dict[str, Any]] = [
        {"labels": ["pos", "neg"]},
        {"labels": ["Neg", "POS"]},
        {"label_words": ["bad", "good"]},
        {"labels": ["good", "bad"]},
        {"label_words": ["pos", "neg"]},
        {"labels": ["neg", "pos", "mixed"]},
    ]
    for name in ("org/stored", "org/card"):
        found = read(hub, tmp_path / "home", *((task | {"dataset": name, "text": ["sentence"]}, "train", None) for task in tasks))
        assert [answer[0] for answer in found[:3]] == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
        assert [answer[:2] for answer in found[3:]] == [["PermanentError", "labels_mismatch"]] * 3
        assert "0 = neg, 1 = pos" in found[3][2]


def test_what_cannot_be_read_is_refused_for_good(tmp_path: Path) -> None:
    hub = FakeHub()
    cases: dict[str, tuple[dict[str, str | bytes], str]] = {
        "script": ({"script.py": "import datasets", "README.md": "x"}, "dataset_unsupported"),
        "empty": ({"README.md": "x"}, "dataset_unsupported"),
        "broken": ({"train.jsonl": rows_of(1) + "{"}, "rows_invalid"),
        "mixed": ({"train.jsonl": rows_of(1), "train-2.jsonl": '{"other": 3}\n'}, "column_missing"),
        "damaged": ({"train.parquet": b"PAR1 no"}, "rows_invalid"),
        "no-rows": ({"train.jsonl": ""}, "rows_missing"),
        "configs": ({"a/train.jsonl": rows_of(1), "b/train.jsonl": rows_of(1)}, "config_missing"),
    }
    for name, (files, _) in cases.items():
        publish(hub, tmp_path, f"org/{name}", files)
    found = read(hub, tmp_path / "home", *((TASK | {"dataset": f"org/{name}"}, "train", None) for name in cases))
    assert [answer[:2] for answer in found] == [["PermanentError", code] for _, code in cases.values()]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, "PermanentError", "hub_refused"),
        (451, "PermanentError", "hub_refused"),
        (410, "PermanentError", "hub_refused"),
        (429, "TemporaryError", "hub_unreachable"),
        (503, "TemporaryError", "hub_unreachable"),
    ],
)
def test_refusals_of_the_hub_are_final_unless_they_can_pass(tmp_path: Path, status: int, kind: str, code: str) -> None:
    hub = FakeHub()
    publish(hub, tmp_path, "org/shut", {"train.jsonl": rows_of(1)})
    hub.refusals["datasets/org/shut"] = (status, "This repository was taken down.")
    ((*found, message),) = read(hub, tmp_path / "home", (TASK | {"dataset": "org/shut"}, "train", None))
    assert found == [kind, code]
    assert ("taken down" in message) == (code == "hub_refused")
