"""Spellings of special tokens in users' texts are text, for every tokenizer; other texts keep their tokens."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pruning.data.encoding import encode_rows
from pruning.data.plain_text import tokenize_plain
from pruning.data.reader import Rows
from pruning.hub.models import ModelFolder
from pruning.models.loading import load_model
from pruning.spec.tasks import resolve_task
from tests import toy_architectures, toy_models

SPECIAL = (
    "[MASK]",
    "[SEP]",
    "[CLS]",
    "[PAD]",
    "<mask>",
    "</s>",
    "<s>",
    "<pad>",
    "<|endoftext|>",
    "<|im_end|>",
    "the [MASK] film",
    "a [SEP] b",
    "[PAD][PAD]",
    " [MASK]",
    "film<mask>",
    "</s></s>",
)
ORDINARY = ("the film was great", "", "a dull book, and  a weak plot!", "[ MASK ] < s >", "great € zebra", "x" * 70)


@pytest.fixture(scope="module", params=toy_architectures.ALL)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = toy_architectures.make_model(tmp_path_factory.mktemp("models") / request.param, request.param)
    return AutoTokenizer.from_pretrained(folder)


def unigram() -> Any:
    """As ALBERT's, XLM-R's and DeBERTa-v3's: special tokens are pieces with the score of a certain event."""
    pieces = [("<unk>", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[MASK]", 0.0), ("[PAD]", 0.0), ("▁", -2.0), ("▁the", -3.0)]
    pieces += [(letter, -8.0) for letter in "abcdefghijklmnopqrstuvwxyzACEKLMPS[]"]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        pad_token="[PAD]",
        model_max_length=64,
    )


def text_ids(tokenizer: Any, *texts: str) -> list[int]:
    """Tokens of a row that do not come from the frame."""
    ids: list[int] = tokenize_plain(tokenizer, *[[text] for text in texts])["input_ids"][0]
    frame = tokenizer(*texts, split_special_tokens=True, return_special_tokens_mask=True)["special_tokens_mask"]
    assert len(ids) == len(frame)
    return [token for token, framed in zip(ids, frame, strict=True) if not framed]


def reserved(tokenizer: Any) -> set[int]:
    return set(tokenizer.all_special_ids) - {tokenizer.unk_token_id} | {tokenizer.pad_token_id} - {None}


@pytest.mark.parametrize("text", SPECIAL)
def test_no_text_gives_a_special_token(tokenizer: Any, text: str) -> None:
    assert not reserved(tokenizer) & set(text_ids(tokenizer, text))
    assert not reserved(tokenizer) & set(text_ids(tokenizer, "the film", text))


@pytest.mark.parametrize("text", ORDINARY)
def test_a_text_without_special_tokens_keeps_its_tokens(tokenizer: Any, text: str) -> None:
    for texts in ([text],), (["the film"], [text]):
        expected = tokenizer(*texts, truncation=True, max_length=32)
        got = tokenize_plain(tokenizer, *texts, truncation=True, max_length=32)
        assert dict(got) == dict(expected)


@pytest.mark.parametrize("text", ["the [MASK] a", "[SEP]", "[PAD] the [PAD]", "[CLS][MASK]"])
def test_pieces_of_a_vocabulary_become_unknown_in_place(text: str) -> None:
    tokenizer = unigram()
    plain = tokenizer(text, split_special_tokens=True, return_special_tokens_mask=True, return_offsets_mapping=True)
    inside = [i for i, framed in enumerate(plain["special_tokens_mask"]) if not framed]
    assert reserved(tokenizer) & {plain["input_ids"][i] for i in inside}, "the vocabulary has the spelling as a word"
    got = tokenize_plain(tokenizer, [text], return_offsets_mapping=True)
    assert got["offset_mapping"] == [plain["offset_mapping"]]
    for i, (before, after) in enumerate(zip(plain["input_ids"], got["input_ids"][0], strict=True)):
        hidden = i in inside and before in reserved(tokenizer)
        assert after == (tokenizer.unk_token_id if hidden else before)


def test_spans_and_single_texts_of_a_loaded_model_are_plain_too(tmp_path: Path) -> None:
    folder = toy_models.make_model(tmp_path / "m")
    tokenizer = load_model(ModelFolder(folder, None), ("Yes", "No"), "label-words").tokenizer
    answers: Any = {"text": ["film"], "answer_start": [4]}
    rows = Rows((["[SEP] which [MASK]"], ["the film [SEP] was [PAD] great [MASK]"]), [answers], "given")
    encoded = encode_rows(rows, resolve_task("squad"), tokenizer, 48, stride=8)
    assert tokenizer.mask_token_id not in encoded.input_ids[0]
    assert encoded.input_ids[0].count(tokenizer.sep_token_id) == 2
    tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("[MASK]")["input_ids"].count(tokenizer.mask_token_id) == 0
