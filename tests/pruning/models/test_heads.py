"""The label-word head against the logits of the whole masked language model, for every model shape."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from pruning.models.heads import LabelWordHead, label_rows
from pruning.models.label_words import WordRules, label_word_ids
from tests import toy_models


@pytest.fixture(scope="module", params=toy_models.SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_models.make_model(tmp_path_factory.mktemp("models") / request.param, request.param)


def load(folder: Path) -> Any:
    return AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()


def inputs_of(tokenizer: Any, *, masked: tuple[int | None, ...]) -> dict[str, torch.Tensor]:
    """Three padded rows with the mask token at the given position, if any."""
    texts = ["the film was great", "a dull book and a weak plot in the end", "No"]
    inputs = dict(tokenizer(texts, padding=True, return_tensors="pt"))
    for row, position in enumerate(masked):
        if position is not None:
            inputs["input_ids"][row, position] = tokenizer.mask_token_id
    return inputs


@pytest.mark.parametrize("masked", [(None, None, None), (2, 5, 1), (None, 3, None)], ids=["none", "all", "some"])
@torch.no_grad()
def test_logits_are_the_label_words_columns_at_the_mask_token_or_the_first(folder: Path, masked: tuple[int | None, ...]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = inputs_of(tokenizer, masked=masked)
    ids = label_word_ids(tokenizer, ("terrible", "great", "Maybe"))
    whole = load(folder)(**inputs).logits
    expected = whole[torch.arange(3), torch.tensor([p or 0 for p in masked])][:, ids]
    got = LabelWordHead(load(folder), ids, tokenizer.mask_token_id).eval()(**inputs)
    assert got.shape == (3, 3)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_one_label_word_gives_one_number_per_row(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = inputs_of(tokenizer, masked=(None, None, None))
    ids = label_word_ids(tokenizer, ("Yes",))
    got = LabelWordHead(load(folder), ids, tokenizer.mask_token_id).eval()(**inputs)
    torch.testing.assert_close(got, load(folder)(**inputs).logits[:, 0, ids], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_every_position_gives_the_logits_of_every_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = inputs_of(tokenizer, masked=(1, None, None))
    ids = label_word_ids(tokenizer, ("Yes", "No"))
    head = LabelWordHead(load(folder), ids, tokenizer.mask_token_id, position="every").eval()
    torch.testing.assert_close(head(**inputs), load(folder)(**inputs).logits[:, :, ids], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_rows_of_a_batch_do_not_depend_on_the_batch_before(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    head = LabelWordHead(load(folder), label_word_ids(tokenizer, ("Yes", "No")), tokenizer.mask_token_id).eval()
    inputs = inputs_of(tokenizer, masked=(None, 4, None))
    first = head(**inputs)
    head(**{name: tensor[:1] for name, tensor in inputs.items()})
    assert torch.equal(head(**inputs), first)


@torch.no_grad()
def test_a_deep_copy_reads_its_own_rows(folder: Path) -> None:
    """Exports change copies; a copy that asked the original for its positions would have those of another batch."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    head = LabelWordHead(load(folder), label_word_ids(tokenizer, ("Yes", "No")), tokenizer.mask_token_id).eval()
    inputs = inputs_of(tokenizer, masked=(1, 4, None))
    first, copied = head(**inputs), copy.deepcopy(head)
    head(**{name: tensor[:2].flip(0) for name, tensor in inputs.items()})
    assert torch.equal(copied(**inputs), first)


def test_the_head_adds_no_parameter_and_trains_none(folder: Path) -> None:
    model = load(folder).requires_grad_(requires_grad=False)
    before = sum(p.numel() for p in model.parameters())
    head = LabelWordHead(model, [5, 6], None)
    assert sum(p.numel() for p in head.parameters()) <= before + 2 * (toy_models.HIDDEN + 1)  # a copy of two rows
    assert not any(p.requires_grad for p in head.parameters())


def test_only_the_position_of_interest_goes_through_what_follows_the_last_attention(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    head = LabelWordHead(load(folder), label_word_ids(tokenizer, ("Yes", "No")), tokenizer.mask_token_id).eval()
    last = [module for path, module in head.model.named_modules() if isinstance(module, torch.nn.Linear) and "1" in path]
    seen: list[int] = []
    last[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[1]))
    inputs = inputs_of(tokenizer, masked=(None, 4, None))
    short = head(**inputs)
    with head.all_positions():
        torch.testing.assert_close(short, head(**inputs), rtol=1e-5, atol=1e-6)
    width = inputs["input_ids"].shape[1]
    assert seen == ([width, width] if "distilbert" in str(type(head.model)).lower() else [1, width])


@pytest.mark.parametrize("masked", [(None, None, None), (2, 5, 1)], ids=["none", "all"])
@torch.no_grad()
def test_the_logit_of_a_class_is_the_mean_of_its_words_and_that_of_a_word_the_mean_of_its_pieces(
    folder: Path, masked: tuple[int | None, ...]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = inputs_of(tokenizer, masked=masked)
    words = ("terrible", ("great", "lovely", "fine"), ("filmy", "Maybe"))
    tokens = label_word_ids(tokenizer, words, WordRules("mean"))
    assert isinstance(tokens[2], tuple)
    assert isinstance(tokens[2][0], tuple)
    whole = load(folder)(**inputs).logits[torch.arange(3), torch.tensor([p or 0 for p in masked])].double()
    great, pieces = list(tokens[1]) if isinstance(tokens[1], tuple) else [], list(tokens[2][0])
    expected = torch.stack(
        [whole[:, tokens[0]], whole[:, great].mean(1), (whole[:, pieces].mean(1) + whole[:, tokens[2][1]]) / 2], 1
    )
    head = LabelWordHead(load(folder), tokens, tokenizer.mask_token_id).eval()
    torch.testing.assert_close(head(**inputs).double(), expected, rtol=1e-5, atol=1e-6)


def test_one_word_of_one_token_is_its_row_to_the_last_bit(folder: Path) -> None:
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    tokens = label_word_ids(tokenizer, ("terrible", ("great", "fine"), "Maybe"))
    weight, bias = label_rows(model, tokens, None)
    decoder, single = model.get_output_embeddings(), [tokens[0], tokens[2]]
    assert torch.equal(weight[[0, 2]], decoder.weight[single])
    assert bias is not None
    assert torch.equal(bias[[0, 2]], decoder.bias[single])
