"""Several words for a class: what a spec takes, how it is stored, and what it refuses."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec
from pruning.spec.verbalizer import MAX_WORDS, token_shares

SEVERAL = [["terrible", "bad"], ["great", "good", "fine"]]
TASK: dict[str, Any] = {"dataset": "rows", "text": ["t"]}


def spec(**fields: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": "sst2", **fields})


def fault(**fields: Any) -> tuple[str, str]:
    """Field and code of the one refusal."""
    with pytest.raises(ValidationError) as caught:
        spec(**fields)
    [found] = error_details(caught.value, PruningSpec)
    return found["param"], found["code"]


def test_a_class_may_have_several_words() -> None:
    found = spec(label_words=SEVERAL)
    assert found.label_words == (("terrible", "bad"), ("great", "good", "fine"))
    assert found.model_dump(mode="json")["label_words"] == SEVERAL
    assert PruningSpec.model_validate(found.model_dump(mode="json")) == found


def test_a_list_of_one_word_is_that_word() -> None:
    assert spec(label_words=[["terrible"], [" great "]]) == spec(label_words=["terrible", "great"])
    assert spec(label_words=["terrible", ["great", "good"]]).label_words == ("terrible", ("great", "good"))


def test_words_of_a_custom_task_are_its_spec_s_and_the_first_ones_name_its_classes() -> None:
    found = spec(task={**TASK, "label_words": SEVERAL})
    assert found.label_words == found.task_info.label_words == (("terrible", "bad"), ("great", "good", "fine"))
    assert (found.task_info.classes, found.task_info.class_names) == (2, ("terrible", "great"))
    named = spec(task={**TASK, "labels": ["neg", "pos"], "label_words": SEVERAL})
    assert named.task_info.class_names == ("neg", "pos")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"label_words": [["terrible", "terrible"], "great"]}, "label_words.0", "not_distinct"),
        ({"label_words": [["terrible", "bad"], ["great", "bad"]]}, "label_words", "spec_conflict"),
        ({"label_words": ["terrible", []]}, "label_words.1", "too_short"),
        ({"label_words": [[f"w{i}" for i in range(MAX_WORDS + 1)], "great"]}, "label_words.0", "too_long"),
        ({"label_words": [["terrible", ""], "great"]}, "label_words.0.1", "string_too_short"),
        ({"label_words": [["terrible", 3], "great"]}, "label_words.0.1", "string_type"),
        ({"label_words": [["terrible", "so so"], "great"]}, "label_words", "spec_conflict"),
        ({"label_words": [["terrible", "bad"]]}, "label_words", "spec_conflict"),
        ({"label_words": SEVERAL, "head": "classifier"}, "label_words", "spec_conflict"),
        ({"task": "stsb", "label_words": [["Yes", "Sure"]]}, "label_words", "spec_conflict"),
        ({"task": "squad", "label_words": SEVERAL}, "label_words", "spec_conflict"),
        ({"task": {**TASK, "kind": "regression", "label_words": [["Yes", "Sure"]]}}, "task.label_words", "spec_conflict"),
        ({"task": {**TASK, "text": ["q", "c"], "kind": "span", "label_words": SEVERAL}}, "task.label_words", "spec_conflict"),
        ({"task": {**TASK, "label_words": SEVERAL}, "head": "classifier"}, "task.label_words", "spec_conflict"),
        ({"task": {**TASK, "label_words": [["terrible", ""], "great"]}}, "task.label_words.0.1", "string_too_short"),
        ({"head": "classifier", "label_word_pieces": "mean"}, "label_word_pieces", "spec_conflict"),
        ({"label_word_pieces": "first"}, "label_word_pieces", "literal_error"),
    ],
)
def test_what_cannot_be_read_names_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    assert fault(**fields) == (param, code)


@pytest.mark.parametrize("task", ["sst2", "stsb", "squad"])
def test_every_head_that_reads_words_takes_pieces(task: str) -> None:
    assert spec(task=task, label_word_pieces="mean").label_word_pieces == "mean"
    assert spec(task=task).label_word_pieces == "refuse"


def test_the_shares_of_tokens_are_those_of_a_mean_of_means() -> None:
    assert token_shares(7) == {7: 1}
    assert token_shares((7, (8, 9, 8))) == {7: Fraction(1, 2), 8: Fraction(1, 3), 9: Fraction(1, 6)}
