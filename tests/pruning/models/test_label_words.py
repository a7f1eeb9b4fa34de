"""Label words that are a single token each pass; others are refused, by the folder's check and by the trainer's tokenizer alike."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pruning.errors import PermanentError
from pruning.models.checks import check_model_folder
from pruning.models.label_words import WordRules, label_word_ids, load_tokenizer
from pruning.spec.verbalizer import ClassTokens, ClassWords, Pieces
from tests import toy_architectures, toy_models
from tests.model_folders import byte_pairs, make_model

GOOD = ("terrible", "great")


def refusal(folder: Path, words: tuple[ClassWords, ...] = GOOD, pieces: Pieces = "refuse") -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        check_model_folder(folder, words, "label-words", pieces)
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
@pytest.mark.parametrize(("words", "shown"), [(("great", "zebra"), "'zebra'"), (("filmplay",), "'filmplay'"), (("€",), "'€'")])
def test_words_that_are_not_one_known_token_are_refused(tmp_path: Path, model: str, words: tuple[str, ...], shown: str) -> None:
    with pytest.raises(PermanentError, match=shown) as caught:
        label_word_ids(AutoTokenizer.from_pretrained(toy_models.make_model(tmp_path / "model", model)), words)
    assert caught.value.code == "label_word_unknown"
    assert str(caught.value.param).startswith("label_words")


@pytest.mark.parametrize("shape", ["bert", "distilbert", "electra"])
@pytest.mark.parametrize("config", ["as it is", "without the key", "missing", True, False], ids=str)
def test_words_are_lowercased_where_the_class_of_transformers_does(tmp_path: Path, shape: str, config: str | bool) -> None:
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
    assert load_tokenizer(folder / "tokenizer.json").encode("Yes Great terrible", add_special_tokens=False).ids == theirs


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its tokenizer has every letter as a piece: ``filmy`` is ``film ##y``."""
    return toy_models.make_model(tmp_path_factory.mktemp("words") / "bert", "bert")


def tokens_of(folder: Path, words: tuple[ClassWords, ...], pieces: Pieces = "refuse") -> list[ClassTokens]:
    """By the trainer's tokenizer; the folder's check must agree that the words can be had."""
    check_model_folder(folder, words, "label-words", pieces)
    return label_word_ids(AutoTokenizer.from_pretrained(folder), words, WordRules(pieces))


def test_the_tokens_of_a_class_are_those_of_its_words(toy: Path) -> None:
    ids = AutoTokenizer.from_pretrained(toy).get_vocab()
    assert tokens_of(toy, ("terrible", ("great", "fine"))) == [ids["terrible"], (ids["great"], ids["fine"])]
    assert tokens_of(toy, ("filmy", ("great", "filmed")), "mean") == [
        ((ids["film"], ids["##y"]),),
        (ids["great"], (ids["film"], ids["##e"], ids["##d"])),
    ]
    assert tokens_of(toy, GOOD, "mean") == tokens_of(toy, GOOD) == [ids["terrible"], ids["great"]]


def test_a_word_in_pieces_is_refused_with_the_field_that_allows_it(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    assert "label_word_pieces" in str(refusal(folder, ("great", "unrelated")))
    assert "classifier" in str(refusal(folder, ("great", "unrelated")))
    check_model_folder(folder, ("great", "unrelated"), "label-words", "mean")
    with pytest.raises(PermanentError) as span:  # which has no other head
        check_model_folder(folder, ("great", "unrelated"), "span")
    assert "classifier" not in str(span.value)


@pytest.mark.parametrize(
    ("words", "pieces", "code", "param"),
    [
        ((("great", "unrelated"), "terrible"), "refuse", "label_word_unknown", "label_words.0.1"),
        (("great", "zebra"), "mean", "label_word_unknown", "label_words.1"),  # no pieces either
        (("terrible", ("maybe", "great", "Great")), "refuse", "label_words_collide", "label_words.1.2"),
        ((("maybe", "great"), ("yes", "Great")), "refuse", "label_words_collide", "label_words.1.1"),
        (("unrelated", "Unrelated"), "mean", "label_words_collide", "label_words.1"),
    ],
)
def test_words_that_tell_nothing_apart_are_refused(
    tmp_path: Path, words: tuple[ClassWords, ...], pieces: Pieces, code: str, param: str
) -> None:
    found = refusal(make_model(tmp_path / "m"), words, pieces)
    assert (found.code, found.param) == (code, param)


def test_classes_of_other_words_with_the_same_mean_are_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", model_type="roberta")
    byte_pairs(["q"]).save(str(folder / "tokenizer.json"))  # every letter is a token
    for words in (("tar", "rat"), ("to", ("t", "o"))):
        found = refusal(folder, words, "mean")
        assert (found.code, found.param) == ("label_words_collide", "label_words.1")
    check_model_folder(folder, ("to", ("t", "o", "e"), ("a", "at")), "label-words", "mean")


@pytest.mark.parametrize("config", [{}, {"final_logit_softcapping": 3.0}], ids=["by default", "named"])
def test_a_mean_of_logits_that_are_capped_is_refused(tmp_path: Path, config: dict[str, float]) -> None:
    folder = make_model(tmp_path / "m", model_type="gemma2", config=config)
    found = refusal(folder, ("terrible", ("great", "maybe")))
    assert (found.code, found.param) == ("label_words_capped", "label_words.1")
    assert refusal(folder, ("terrible", "unrelated"), "mean").code == "label_words_capped"
    check_model_folder(folder, GOOD, "label-words", "mean")
    uncapped = make_model(tmp_path / "u", model_type="gemma2", config={"final_logit_softcapping": None})
    check_model_folder(uncapped, ("terrible", ("great", "maybe")), "label-words")
