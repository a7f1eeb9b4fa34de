"""Files of a hub data set's split: chosen among those of the commit, not by the card."""

from typing import Any

import pytest

from pruning.errors import PermanentError
from pruning.hub.dataset_files import choose_files

GLUE = [f"{config}/{split}-00000-of-00001.parquet" for config in ("cola", "mnli") for split in ("train", "test")]
GLUE += ["mnli/validation_matched-00000-of-00001.parquet", "mnli/validation_mismatched-00000-of-00001.parquet", "README.md"]
CARD: dict[str, Any] = {
    "configs": [
        {"config_name": name, "data_files": [{"split": split, "path": f"{name}/{split}-*"} for split in ("train", "test")]}
        for name in ("cola", "mnli")
    ]
}


def choose(names: list[str], split: str = "train", config: str | None = None, card: dict[str, Any] | None = None) -> list[str]:
    return choose_files(names, card or {}, "org/d", config, split)


def refusal(names: list[str], split: str = "train", config: str | None = None, card: Any = None) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        choose(names, split, config, card)
    return caught.value


SHARDS = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]


@pytest.mark.parametrize(
    ("names", "split", "found"),
    [
        (["train.jsonl", "validation.jsonl"], "train", ["train.jsonl"]),
        ([*SHARDS, "data/test-00000-of-00001.parquet"], "train", SHARDS),
        (["train-2.jsonl", "train.jsonl"], "train", ["train-2.jsonl", "train.jsonl"]),
        (["train.csv.gz", "dev.csv.gz"], "validation", ["dev.csv.gz"]),
        (["train/0000.parquet", "train/0001.parquet", "test/0000.parquet"], "train", ["train/0000.parquet", "train/0001.parquet"]),
        (["my_train_rows.json", "my_test_rows.json"], "test", ["my_test_rows.json"]),
        (["train.tsv", "dataset_infos.json", ".hidden/train.csv"], "train", ["train.tsv"]),
        (["train.csv", "validation_matched.csv", "validation_mismatched.csv"], "validation_matched", ["validation_matched.csv"]),
    ],
)
def test_names_say_the_split(names: list[str], split: str, found: list[str]) -> None:
    assert choose(names, split) == found


def test_configurations_are_folders_or_stand_in_the_card() -> None:
    for card in ({}, CARD):
        assert choose(GLUE, "train", "mnli", card) == ["mnli/train-00000-of-00001.parquet"]
        for config, words in ((None, "several"), ("rte", "'rte'")):
            found = refusal(GLUE, "train", config, card)
            assert (found.code, found.param) == ("config_missing", "task.config")
            assert words in str(found)
            assert "cola, mnli" in str(found)
    assert choose(GLUE, "validation_matched", "mnli") == ["mnli/validation_matched-00000-of-00001.parquet"]
    found = refusal(GLUE, "dev", "cola", CARD)
    assert (found.code, "test, train" in str(found)) == ("split_missing", True)
    default = {"configs": [{"config_name": "cola", "default": True, "data_files": "cola/*"}, *CARD["configs"][1:]]}
    assert choose(GLUE, "test", None, default) == ["cola/test-00000-of-00001.parquet"]


@pytest.mark.parametrize(
    "path",
    [
        "/data/datasets/ds_*/train.jsonl.gz",
        "https://example.org/train.csv",
        "../../etc/*.json",
        "hf://datasets/other/x/*.csv",
        "*" * 40 + ".csv",
        "file:///tmp/*.jsonl",
        "[z-a].csv",
        ["x.csv", 3],
        {"x": 1},
    ],
)
def test_patterns_reach_nothing_but_the_files_of_the_commit(path: Any) -> None:
    card = {"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}]}
    assert refusal(["train.csv"], card=card).code == "dataset_unsupported"


def test_patterns_of_a_card_are_globs() -> None:
    names = ["a/b/train.csv", "a/train.csv", "b.csv", "train.csv"]
    for path, found in (
        ("**/train.csv", [*names[:2], names[3]]),
        ("*/train.csv", names[1:2]),
        ("?.csv", ["b.csv"]),
        ("[a-c].csv", ["b.csv"]),
    ):
        card = {"configs": [{"config_name": "default", "data_files": {"train": path}}]}
        assert choose(names, card=card) == found


@pytest.mark.parametrize(("names", "word"), [(["README.md"], "no data files"), (["d.py", "README.md"], "script (d.py)")])
def test_data_sets_without_data_files_are_refused(names: list[str], word: str) -> None:
    found = refusal(names)
    assert (found.code, word in str(found)) == ("dataset_unsupported", True)


@pytest.mark.parametrize("card", [{"configs": 3}, {"configs": [None, "x", {"data_files": 3}]}, {"configs": [{"config_name": "x"}]}])
def test_cards_of_any_shape_are_read(card: dict[str, Any]) -> None:
    assert choose(["train.csv"], card=card) == ["train.csv"]
