"""Label words that are a single token each pass; others are refused, by the folder's check and by the trainer's tokenizer alike."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pruning.errors import PermanentError
from pruning.models.checks import check_model_folder
from pruning.models.label_words import label_word_ids, load_tokenizer
from tests import toy_architectures, toy_models
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


@pytest.mark.parametrize("shape", ["bert", "distilbert", "electra"])
@pytest.mark.parametrize("config", ["as it is", "without the key", "missing", True, False], ids=str)
def test_words_are_lowercased_where_the_class_of_transformers_does(
    tmp_path: Path, shape: str, config: str | bool
) -> None:
    folder = tmp_path / shape
    toy_architectures.make_model(folder, shape)
    file = folder / "tokenizer_config.json"
    fields = json.loads(file.read_text("utf-8"))
    if config == "without the key":
        fields.pop("do_lower_case", None)
    elif isinstance(config, bool):
        fields["do_lower_case"] = config
    file.write_text(json.dumps(fields))
    if config == "missing":
        file.unlink()
    theirs = AutoTokenizer.from_pretrained(folder)("Yes Great terrible", add_special_tokens=False)["input_ids"]
    assert (
        load_tokenizer(folder / "tokenizer.json").encode("Yes Great terrible", add_special_tokens=False).ids == theirs
    )
