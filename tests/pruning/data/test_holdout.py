"""Rows held out of the training split: a share of each class, always the same rows, and none where another split would serve."""

from collections import Counter
from pathlib import Path

import pytest

from pruning.data.holdout import MAX_ROWS, default_share, held_out_count, held_out_rows
from pruning.data.local_check import check_dataset
from pruning.data.reader import load_rows
from pruning.errors import PermanentError, SplitMissingError
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import resolve_task
from tests import toy_datasets

CLASSES = [0] * 70 + [1] * 25 + [2] * 5


def test_each_class_gives_its_share() -> None:
    chosen = held_out_rows(100, CLASSES, 0.2)
    assert Counter(CLASSES[number] for number in chosen) == {0: 14, 1: 5, 2: 1}
    assert chosen == sorted(set(chosen)) == held_out_rows(100, CLASSES, 0.2)


def test_every_class_keeps_a_row_to_train_on() -> None:
    chosen = held_out_rows(6, ["a", "a", "a", "a", "b", "c"], 0.5)
    assert set(chosen) < {0, 1, 2, 3}
    with pytest.raises(PermanentError) as caught:
        held_out_rows(3, ["a", "b", "c"], 0.5)
    assert (caught.value.code, caught.value.param) == ("rows_missing", "validation_share")


def test_no_more_rows_than_an_accuracy_needs() -> None:
    assert held_out_count(1_000_000, 0.1) == MAX_ROWS == len(held_out_rows(60_000, None, 0.1))
    assert held_out_count(3, 0.1) == 1


def test_rows_are_either_trained_on_or_held_out(tmp_path: Path) -> None:
    toy_datasets.write_splits(tmp_path / "sst2", {"train": toy_datasets.opinions(40, 1)})
    assert check_dataset(tmp_path / "sst2", "sst2") == 0.1
    sources = Sources(datasets_dir=tmp_path, hub=False)
    task = resolve_task("sst2").holding_out(0.25)
    rest = load_rows(task, "train", sources)
    held_out = load_rows(task, task.validation_splits[0], sources)
    assert sorted(rest.texts[0] + held_out.texts[0]) == sorted(load_rows(resolve_task("sst2"), "train", sources).texts[0])
    assert Counter(held_out.labels) == {0: 5, 1: 5}
    few = load_rows(task, task.validation_splits[0], sources, limit=4)
    assert few.texts[0] == held_out.texts[0][:4]


@pytest.mark.parametrize(("there", "proposed"), [(("train", "test", "dev"), "dev"), (("train", "extra"), "extra")])
def test_another_split_is_proposed_by_name(there: tuple[str, ...], proposed: str) -> None:
    missing = SplitMissingError("no validation", splits=there, param="task.validation_split")
    with pytest.raises(SplitMissingError) as caught:
        default_share(resolve_task("sst2"), missing)
    assert f'validation_split: "{proposed}"' in caught.value.message
    assert (caught.value.code, caught.value.param) == ("split_missing", "task.validation_split")


def test_a_split_that_the_task_names_is_not_replaced() -> None:
    task = resolve_task(CustomTask(dataset="d", text=("t",), label_words=("a", "b"), validation_split="dve"))
    with pytest.raises(SplitMissingError) as caught:
        default_share(task, SplitMissingError("no dve", splits=("train",), param="task.validation_split"))
    assert "validation_share: 0.1" in caught.value.message


def test_a_set_without_the_training_split_is_refused() -> None:
    with pytest.raises(SplitMissingError):
        default_share(resolve_task("sst2"), SplitMissingError("no train", splits=()))
