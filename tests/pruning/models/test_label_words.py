"""Label words that are a single token each pass; others are refused, by the folder's check and by the trainer's tokenizer alike."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pruning.errors import PermanentError
from pruning.models.checks import check_model_folder
from pruning.models.label_words import label_word_ids
from tests import toy_models
from tests.model_folders import byte_pairs, make_model

GOOD = ("terrible", "great")


def refusal(folder: Path, words: tuple[str, ...] = GOOD) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        check_model_folder(folder, words, "label-words")
    return caught.value


@pytest.mark.parametrize(
    ("words", "code", "param"),
    [
        (("great", "unrelated"), "label_word_unknown", "label_words.1"),  # two pieces
        (("zebra", "great"), "label_word_unknown", "label_words.0"),  # the unknown token
        (("great", "Great"), "label_words_collide", "label_words.1"),  # lower-cased to the same token
        (("very great",), "label_word_unknown", "label_words.0"),
    ],
)
def test_label_words(tmp_path: Path, words: tuple[str, ...], code: str, param: str) -> None:
    found = refusal(make_model(tmp_path / "m"), words)
    assert (found.code, found.param) == (code, param)
    assert repr(words[int(param[-1])]) in str(found)


def test_label_words_are_encoded_behind_a_blank(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", model_type="roberta")
    byte_pairs(["great", "bad"]).save(str(folder / "tokenizer.json"))
    check_model_folder(folder, ("great", "bad"), "label-words")
    assert refusal(folder, ("great", "baz")).param == "label_words.1"


def test_a_new_tokenizer_file_is_read_again(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", model_type="roberta")
    check_model_folder(folder, GOOD, "label-words")
    byte_pairs(["a"]).save(str(folder / "tokenizer.json"))
    assert refusal(folder).code == "label_word_unknown"


@pytest.mark.parametrize("model", toy_models.SHAPES)
@pytest.mark.parametrize(
    ("words", "shown"), [(("great", "zebra"), "'zebra'"), (("filmplay",), "'filmplay'"), (("€",), "'€'")]
)
def test_words_that_are_not_one_known_token_are_refused(
    tmp_path: Path, model: str, words: tuple[str, ...], shown: str
) -> None:
    with pytest.raises(PermanentError, match=shown) as caught:
        label_word_ids(AutoTokenizer.from_pretrained(toy_models.make_model(tmp_path / "model", model)), words)
    assert caught.value.code == "label_word_unknown"
    assert str(caught.value.param).startswith("label_words")
