"""The task table is complete and consistent, and a custom task becomes a row like its own."""

import pytest

from pruning.spec.custom_task import MAX_CLASSES, CustomTask, propose_words
from pruning.spec.tasks import TASKS, resolve_task


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_trained_and_scored(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert len(set(task.label_words)) == len(task.label_words)
    assert len(task.label_words) == (1 if task.kind == "regression" else max(2, len(task.label_words)))
    assert task.text
    assert task.metrics
    assert task.epochs > 0
    assert task.batch_size in (32, 64)


def test_the_main_metric_of_each_task_is_the_one_of_the_benchmark() -> None:
    first = {name: task.metrics[0] for name, task in TASKS.items()}
    assert first == {
        "mnli": "accuracy",
        "qnli": "accuracy",
        "qqp": "accuracy",
        "sst2": "accuracy",
        "mrpc": "accuracy",
        "rte": "accuracy",
        "cola": "matthews",
        "stsb": "pearson",
        "squad": "f1",
        "squad_v2": "f1",
    }


def test_a_custom_task_becomes_a_row_of_its_own() -> None:
    task = resolve_task(CustomTask(dataset="org/d", text=("q", "a"), label="y", label_words=("Yes", "No"), validation_split="dev"))
    assert (task.name, task.dataset, task.text, task.label) == ("org/d", "org/d", ("q", "a"), "y")
    assert (task.train_split, task.validation_splits, task.metrics) == ("train", ("dev",), ("accuracy",))


def test_the_metric_of_a_custom_task_follows_its_kind() -> None:
    regression = CustomTask(dataset="d", text=("t",), kind="regression", label_words=("Yes",))
    assert resolve_task(regression).metrics == ("pearson",)
    assert resolve_task(CustomTask(dataset="d", text=("t",), label_words=("a", "b"), metric="f1")).metrics == ("f1",)


def test_an_unknown_name_is_no_task() -> None:
    with pytest.raises(KeyError):
        resolve_task("imdb")


def test_class_names_differ() -> None:
    for names in (("a", "a", "b"), ("1", "2", "1"), ("x", " x")):
        with pytest.raises(ValueError, match="labels"):
            CustomTask(dataset="d", text=("t",), labels=names)
    assert CustomTask(dataset="d", text=("t",), labels=("C++", "C", "C#")).label_words == ()
    assert propose_words(("C++", "C", "C#")) == ("C++", "C", "C#")


def test_class_names_alone_make_a_task_of_thousands_of_classes() -> None:
    names = tuple(f"intent_{number}_{'x' * 180}" for number in range(MAX_CLASSES))
    task = resolve_task(CustomTask(dataset="d", text=("t",), labels=names))
    assert (task.classes, task.label_words, task.class_names) == (MAX_CLASSES, (), names)
    for wrong in ((*names, "one more"), ("x" * 201, "y"), ("alone",)):
        with pytest.raises(ValueError, match="labels"):
            CustomTask(dataset="d", text=("t",), labels=wrong)


def test_a_regression_needs_no_word_for_its_number() -> None:
    task = resolve_task(CustomTask(dataset="d", text=("t",), kind="regression"))
    assert (task.classes, task.label_words) == (1, ())
    with pytest.raises(ValueError, match="labels"):
        CustomTask(dataset="d", text=("t",), kind="regression", labels=("a", "b"))
