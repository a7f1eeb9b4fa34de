"""Rows of words and tags: what is refused, with row and position, and the first token of each word by several tokenizers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from pruning.data.encoding import encode_rows
from pruning.data.reader import Rows
from pruning.data.tagged_words import IGNORED, check_tags, check_words, first_tokens, require_known_tags
from pruning.errors import PermanentError
from pruning.hub.models import ModelFolder
from pruning.models.loading import load_model
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task, resolve_task
from tests import toy_architectures

ROWS = [["scene", "(good)", "unhappinesses", "x,y"], ["New York", "good"]]


def task(**fields: Any) -> Task:
    given = {"dataset": "d", "text": ["words"], "label": "tags", "kind": "token-classification", **fields}
    return resolve_task(CustomTask.model_validate(given))


@pytest.mark.parametrize(
    ("words", "place"), [("a b", ""), ([], ""), (["a", ""], "word 2"), (["a", 3], "word 2"), ([" "], "word 1")]
)
def test_words_that_are_none(words: Any, place: str) -> None:
    with pytest.raises(PermanentError, match=rf"row 7: .*{place}") as caught:
        check_words(words, "row 7")
    assert caught.value.code == "rows_invalid"


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        (["O"], "1 .*2 "),
        ("O O", "'O O'"),
        (["O", "I-X"], "tag 2"),
        (["X", "O"], "tag 1"),
        ([0, 1], "tag 1 .*0"),
        (["O", None], "tag 2 .*None"),
    ],
)
def test_tags_that_do_not_fit(tags: Any, place: str) -> None:
    with pytest.raises(PermanentError, match=f"row 7: .*{place}") as caught:
        check_tags(tags, ["a", "b"], task(), "row 7")
    assert (caught.value.code, caught.value.param) == ("labels_mismatch", "task.labels")


def test_ids_are_positions_in_labels() -> None:
    named = task(labels=["O", "B-X", "I-X"])
    assert check_tags([1, 2, 0], ["a", "b", "c"], named, "row") == ["B-X", "I-X", "O"]
    with pytest.raises(PermanentError, match=r"tag 1 .*3"):
        check_tags([3], ["a"], named, "row")
    with pytest.raises(PermanentError, match=r"row 2 of it: .*1, 'B-Y'"):
        require_known_tags(["B-Y"], named.class_names, "row 2 of it", found=False)


@pytest.mark.parametrize("shape", toy_architectures.ALL)
def test_the_first_token_of_each_word(shape: str, tmp_path: Path) -> None:
    toy_architectures.make_model(tmp_path / shape, shape)
    tokenizer = load_model(ModelFolder(tmp_path / shape, None), ("a", "b"), "token-classifier").tokenizer
    tokens, words = first_tokens(tokenizer, ROWS, 64)
    assert words.missing == 0
    for row, ids, first in zip(ROWS, tokens["input_ids"], words.first, strict=True):
        starts = [token for token in first if token is not None]
        assert starts == sorted(set(starts))
        ends = [*starts[1:], len(ids) - (ids[-1] == tokenizer.sep_token_id)]
        for word, start, end in zip(row, starts, ends, strict=True):
            alone = tokenizer.decode(ids[start:end], clean_up_tokenization_spaces=False)
            assert alone.replace(" ", "") in (word.replace(" ", ""), word.replace(" ", "").lower()) or "unk" in alone.lower()


def test_words_beyond_the_longest_input_have_no_token(tmp_path: Path) -> None:
    toy_architectures.make_model(tmp_path / "bert", "bert")
    tokenizer = load_model(ModelFolder(tmp_path / "bert", None), ("a", "b"), "token-classifier").tokenizer
    rows = [["scene"] * 12, ["night"] * 3]
    tags = [["B-X"] * 12, ["O"] * 3]
    named = task(labels=["O", "B-X"])
    encoded = encode_rows(Rows(([" ".join(row) for row in rows],), tags, "train", words=rows), named, tokenizer, 8)
    assert encoded.words is not None
    assert encoded.words.first == [[1, 2, 3, 4, 5, 6, *[None] * 6], [1, 2, 3]]
    assert encoded.words.missing == 6
    assert encoded.tag_ids == [[IGNORED, *[1] * 6, IGNORED], [IGNORED, 0, 0, 0, IGNORED]]
    assert encoded.loss_terms([0, 1]) == [6, 3]
    batch = encoded.batch([1], torch.device("cpu"), padded_like=[0, 1])
    assert batch["labels"].tolist() == [[IGNORED, 0, 0, 0, IGNORED, IGNORED, IGNORED, IGNORED]]


def test_a_token_of_two_words_is_the_first_one_s() -> None:
    model = models.WordLevel({"a b": 0, "[UNK]": 1}, unk_token="[UNK]")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), unk_token="[UNK]")
    _, words = first_tokens(tokenizer, [["a", "b"]], 8)
    assert words.first == [[0, None]]
