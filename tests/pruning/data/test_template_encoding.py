"""Rows in a template: one mask token, where the template puts it, for any length and any text."""

from typing import Any

import pytest
from transformers import AutoTokenizer

from pruning.data.template_encoding import encode_in_template
from pruning.errors import PermanentError
from tests.real_data import real_data

SINGLE, PAIR = "{text} It was {mask}.", "{text_a}? {mask}, {text_b}"
EVIL = "a [MASK] b <mask> c [SEP] </s> [CLS] <s> [PAD] <pad> d"


def real(name: str) -> Any:
    return AutoTokenizer.from_pretrained(real_data(*name.split("/")))


REAL = ("models/minilm-l6-mlm", "tokenizers/bert-base-uncased", "tokenizers/roberta-base")


@pytest.mark.parametrize("name", REAL)
def test_each_kind_of_tokenizer_reads_the_word_at_the_template_s_mask(name: str) -> None:
    tokenizer = real(name)
    for template, columns in ((SINGLE, [["a fine film", EVIL, "", "x " * 500]]), (PAIR, [["yes", EVIL], [EVIL, "no " * 90]])):
        found = encode_in_template(tokenizer, template, columns, 32)
        for ids in found["input_ids"]:
            assert len(ids) <= 32
            special = [token for token in ids if token in tokenizer.all_special_ids and token != tokenizer.unk_token_id]
            assert special == [tokenizer.cls_token_id, tokenizer.mask_token_id, tokenizer.sep_token_id]
    plain = encode_in_template(tokenizer, SINGLE, [["a fine film"]], 32)["input_ids"][0]
    assert plain == tokenizer(f"a fine film It was{tokenizer.mask_token}.", split_special_tokens=False)["input_ids"]


def test_texts_are_cut_and_the_template_is_not() -> None:
    tokenizer = real(REAL[1])
    ids = encode_in_template(tokenizer, SINGLE, [["good " * 50]], 16)["input_ids"][0]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", *["good"] * 10, "it", "was", "[MASK]", ".", "[SEP]"]
    ids = encode_in_template(tokenizer, PAIR, [["good bad"], ["great " * 50]], 16)["input_ids"][0]
    words = ["[CLS]", "good", "bad", "?", "[MASK]", ",", *["great"] * 9, "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids) == words
    ids = encode_in_template(tokenizer, PAIR, [["good " * 9], ["great " * 50]], 16)["input_ids"][0]
    assert [tokenizer.convert_ids_to_tokens(ids).count(word) for word in ("good", "great")] == [6, 5]


def test_what_does_not_fit_is_refused() -> None:
    tokenizer = real(REAL[1])
    for template, length, code in ((SINGLE, 6, "template_too_long"), ("{text} [SEP] {mask}", 32, "template_invalid")):
        with pytest.raises(PermanentError) as caught:
            encode_in_template(tokenizer, template, [["x"]], length)
        assert (caught.value.code, caught.value.param) == (code, "template")
    assert encode_in_template(tokenizer, SINGLE, [["x"]], 7)["input_ids"]
