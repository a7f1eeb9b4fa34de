"""DeBERTa with a SentencePiece file alone: ids of the sentencepiece library, and a mask that works on fresh weights."""

import json
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from pruning.data.plain_text import tokenize_plain
from pruning.errors import PermanentError
from pruning.formats import mask_file
from pruning.hub.models import ModelFolder
from pruning.inference.pruned_model import load_pruned
from pruning.models.loading import load_model
from pruning.models.spm_tokenizer import load_spm_tokenizer
from pruning.sources import Sources
from tests import toy_architectures, toy_datasets, toy_models
from tests.pruning.runs import run_toy

sentencepiece = pytest.importorskip("sentencepiece", reason="the package sentencepiece makes the vocabulary")
ODD = ("xyz", "é", "a\u0301", "ﬁlm", "Ｆ", "…", "日本", "😀", "A.b", "12", "great.", "[MASK]", "[SEP]", "  ", "\t", "\n", "\u3000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy DeBERTa whose tokenizer is an ``spm.model``, trained on the words of the toy data."""
    root = tmp_path_factory.mktemp("spm")
    folder = toy_architectures.make_model(root / "deberta", "deberta-v3")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    rng = random.Random(0)
    (root / "text").write_text("\n".join(" ".join(rng.choices(toy_models.WORDS, k=8)) for _ in range(2000)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(root / "text"),
        model_prefix=str(folder / "spm"),
        vocab_size=120,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
    )
    (folder / "spm.vocab").unlink()
    toy_datasets.make_opinions(root / "datasets" / "sst2")
    return folder


def random_texts(count: int) -> list[str]:
    rng = random.Random(1)
    return [" ".join(rng.choices((*toy_models.WORDS, *ODD), k=rng.randint(1, 7))) for _ in range(count)]


def test_every_text_has_the_ids_of_the_sentencepiece_library(folder: Path, tmp_path: Path) -> None:
    tokenizer = load_model(ModelFolder(folder, None), ("terrible", "great"), "label-words").tokenizer
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model"))
    texts = random_texts(500)
    expected = [reference.encode(text) for text in texts]
    assert tokenize_plain(tokenizer, texts, add_special_tokens=False)["input_ids"] == expected
    framed = tokenize_plain(tokenizer, texts[:1], texts[1:2])
    assert framed["input_ids"] == [[1, *expected[0], 2, *expected[1], 2]]
    assert framed["token_type_ids"] == [[0] * (len(expected[0]) + 2) + [1] * (len(expected[1]) + 1)]
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    stored = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert tokenize_plain(stored, texts, add_special_tokens=False)["input_ids"] == expected


def test_a_mask_on_fresh_weights_gives_the_logits_of_its_training(folder: Path, tmp_path: Path) -> None:
    sources = Sources(folder.parent, folder.parent / "datasets", hub=False)
    run_toy(sources, tmp_path / "work", model=folder.name, sparsity=0.7, max_steps=5)
    artifacts = tmp_path / "work" / "artifacts"
    rows = [json.loads(line) for line in (artifacts / "predictions.jsonl").read_text().splitlines()]
    texts = [row["sentence"] for row in toy_datasets.opinions(len(rows), 2)]
    pruned = load_pruned(artifacts / "mask.safetensors", model=folder)
    assert pruned.logits(texts).tolist() == [row["logits"] for row in rows]

    masks, _ = mask_file.read(artifacts / "mask.safetensors")
    fresh = AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenizer = load_spm_tokenizer(folder)
    words = tokenizer.convert_tokens_to_ids(["▁terrible", "▁great"])
    with torch.no_grad():
        for path, mask in masks.items():
            fresh.get_submodule(path).weight.mul_(torch.from_numpy(mask))
        logits = fresh(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    expected = torch.tensor([row["logits"] for row in rows])
    calibrated = logits[:, 0, words] * pruned.info.logit_scale + torch.tensor(pruned.info.logit_offsets)
    torch.testing.assert_close(calibrated, expected, rtol=0, atol=1e-5)


def test_a_file_that_is_no_vocabulary_is_refused(folder: Path, tmp_path: Path) -> None:
    for content in (b"", b"no protobuf", (folder / "spm.model").read_bytes().replace(b"[CLS]", b"[CLR]")):
        (tmp_path / "spm.model").write_bytes(content)
        with pytest.raises(PermanentError, match=r"spm\.model") as caught:
            load_spm_tokenizer(tmp_path)
        assert (caught.value.code, caught.value.param) == ("tokenizer_invalid", "model")
