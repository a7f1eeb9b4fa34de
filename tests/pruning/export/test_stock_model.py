"""Stock folders of every architecture and head: plain transformers in a process of its own predicts as ``load_pruned`` does.

Masks are made, not trained; the real head and the real pipeline are compared on the same texts, also of two columns.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, ElectraConfig, ElectraForMaskedLM

from pruning.export import sequence_classifier, stock_model
from pruning.export.huggingface import load_folder, write_folder
from pruning.inference.pruned_model import PrunedModel, load_pruned
from pruning.models.checks import MODEL_TYPES
from tests import toy_architectures, toy_models
from tests.processes import ROOT
from tests.pruning.export.factories import LOGIT_SCALE, make_mask

TEXTS = [
    "the film was lovely",
    "dull",
    "a grim story with very weak actor and cold scene " * 9,
    "great",
    "it is on by night",
    "some day the book was fresh and the plot was fine in the end",
]
SECONDS = ["it was cold", "the end", "a play", "warm and bright " * 20, "by night", "x"]
CLASSES = {
    "dataset": "rows",
    "text": ["sentence"],
    "labels": ["bad film", "so so", "good film"],
    "label_words": ["terrible", "Maybe", "great"],
}
PLAIN = """
import json, sys
import torch
from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoTokenizer, pipeline

found = {}
for folder, texts, pairs in json.load(sys.stdin):
    if AutoConfig.from_pretrained(folder).architectures[0].endswith("QuestionAnswering"):
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForQuestionAnswering.from_pretrained(folder)
        with torch.no_grad():
            outputs = [model(**tokenizer(*each, return_tensors="pt", truncation=True)) for each in zip(texts, pairs)]
        found[folder] = [[out.start_logits[0].tolist(), out.end_logits[0].tolist()] for out in outputs]
        continue
    classify = pipeline("text-classification", model=folder)
    given = [{"text": a, "text_pair": b} for a, b in zip(texts, pairs)] if pairs else texts
    found[folder] = [classify([each], truncation=True, top_k=None)[0] for each in given]
    found[folder + "?"] = classify(given, truncation=True, top_k=None, batch_size=3)  # in company, padded
assert not {"pruning", "espalier"} & sys.modules.keys()
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True)
class Case:
    """A mask, its base, and the folder made of both."""

    pruned: PrunedModel
    folder: Path
    stock: stock_model.StockModel
    pairs: list[str] | None


HEADS: dict[str, dict[str, Any]] = {
    "words": {"task": CLASSES},
    "pair": {"task": "rte"},
    "regression": {"task": "stsb"},
    "span": {"task": "squad", "stride": 8},
    "classifier": {"task": CLASSES, "head": "classifier", "columns": (1, 2, 0)},
}
CASES = [
    (shape, name)
    for shape in toy_architectures.ALL
    for name in HEADS
    if name == "classifier" or shape != toy_architectures.HEADLESS
]
LANGUAGE_MODELS = [
    *((shape, name) for shape in ("albert", "mobilebert", "gemma2", "phi") for name in HEADS if name != "classifier"),
    ("gemma", "span"),
]
"""Cases that no class of transformers computes."""
EXPRESSED = [case for case in CASES if case not in LANGUAGE_MODELS]


def fine_tuned(folder: Path, base: Path) -> Path:
    """The base with a classifier whose outputs are in another order than the task's classes."""
    names = dict(enumerate(("Good film", "bad film", "so-so")))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=3, id2label=names, label2id={name: number for number, name in names.items()}
        )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def case_of(folder: Path, base: Path, **fields: Any) -> Case:
    """A mask for ``base``, and what is made of it in ``folder``."""
    folder.mkdir(exist_ok=True)
    mask = make_mask(folder / "mask.safetensors", base, **fields)
    stock = write_folder(mask, folder / "stock", model=base)
    pruned = load_pruned(mask, model=base)
    return Case(pruned, folder / "stock", stock, SECONDS if len(pruned.info.spec.task_info.text) == 2 else None)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Case]:
    made = {}
    for shape in toy_architectures.ALL:
        base = toy_architectures.make_model(tmp_path_factory.mktemp("base") / shape, shape)
        tuned = fine_tuned(tmp_path_factory.mktemp("tuned"), base)
        for name in (name for known, name in CASES if known == shape):
            folder = tmp_path_factory.mktemp("made")
            fields = HEADS[name] | ({"calibrate_logits": False} if shape in toy_architectures.DECODERS else {})
            made[shape, name] = case_of(folder, tuned if name == "classifier" else base, **fields)
    return made


@pytest.fixture(scope="module")
def plain(cases: dict[tuple[str, str], Case], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return say([case for case in cases.values() if case.stock.reason is None], tmp_path_factory.mktemp("elsewhere"))


def say(cases: Sequence[Case], cwd: Path) -> dict[str, Any]:
    """What plain transformers says of every folder."""
    given = json.dumps([[str(case.folder), TEXTS, case.pairs] for case in cases])
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], input=given, cwd=cwd, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize(("shape", "name"), EXPRESSED)
def test_plain_transformers_says_what_load_pruned_says(
    cases: dict[tuple[str, str], Case], plain: dict[str, Any], shape: str, name: str
) -> None:
    case = cases[shape, name]
    if name == "span":
        for logits, same in zip(plain[str(case.folder)], span_logits(case.pruned), strict=True):
            np.testing.assert_allclose(logits, same, rtol=0, atol=5e-6)
        return
    for rows in (plain[str(case.folder)], plain[f"{case.folder}?"]):
        got = [{each["label"]: each["score"] for each in row} for row in rows]
        if name == "regression":
            expected = [{"value": value} for value in case.pruned.predict(TEXTS, case.pairs)]
        else:
            expected = [dict(row.probabilities or {}) for row in case.pruned.predictions(TEXTS, case.pairs)]
            assert [max(row, key=row.__getitem__) for row in got] == [max(row, key=row.__getitem__) for row in expected]
        for ours, theirs in zip(expected, got, strict=True):
            assert theirs == pytest.approx(ours, abs=1e-6 * LOGIT_SCALE)


def span_logits(pruned: PrunedModel) -> list[list[list[float]]]:
    """Of the start and of the end, of every pair."""
    found = []
    for pair in zip(TEXTS, SECONDS, strict=True):
        inputs = pruned.tokenizer(*pair, return_tensors="pt", truncation=True, max_length=pruned.info.max_length)
        with torch.no_grad():
            found.append(pruned.head(**inputs)[0].T.tolist())
    return found


def test_the_classes_and_the_kind_of_output_are_named(cases: dict[tuple[str, str], Case]) -> None:
    for (_, name), case in cases.items():
        config = json.loads((case.folder / "config.json").read_text("utf-8"))
        if case.stock.reason is not None or name == "span":
            continue
        classes = ["value"] if name == "regression" else list(case.pruned.labels)
        assert list(config["id2label"].values()) == classes
        assert config["label2id"] == {label: number for number, label in enumerate(classes)}
        expected = "regression" if name == "regression" else "single_label_classification"
        assert config["problem_type"] == expected


def test_decoders_have_no_place_for_calibrated_logits_and_say_so(tmp_path: Path) -> None:
    case = case_of(tmp_path, toy_architectures.make_model(tmp_path / "llama", "llama"), task=CLASSES)
    assert case.stock.class_name == "LlamaForCausalLM"
    assert case.stock.reason is not None
    assert "calibrate_logits" in case.stock.reason
    np.testing.assert_array_equal(load_folder(case.folder, case.stock).logits(TEXTS), case.pruned.logits(TEXTS))


@pytest.mark.parametrize(("shape", "name"), LANGUAGE_MODELS)
def test_what_no_class_computes_stays_a_language_model_and_says_why(
    cases: dict[tuple[str, str], Case], shape: str, name: str
) -> None:
    case = cases[shape, name]
    assert case.stock.reason is not None
    assert case.stock.class_name.endswith("ForCausalLM" if shape in toy_architectures.DECODERS else "ForMaskedLM")
    assert case.stock.reason in (case.folder / "README.md").read_text("utf-8").replace("\n", " ")
    after = load_folder(case.folder, case.stock)
    if name == "span":
        assert span_logits(after) == span_logits(case.pruned)
    else:
        np.testing.assert_array_equal(after.logits(TEXTS, case.pairs), case.pruned.logits(TEXTS, case.pairs))


@pytest.mark.parametrize("shape", ["bert", "roberta", "mpnet"])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_a_large_epsilon_of_the_norms_changes_no_score(shape: str, scale: float, tmp_path: Path) -> None:
    """The norm of an added layer normalises what is normalised: 1e-5 is the epsilon of RoBERTa, ten million times BERT's.

    What the last norm of the encoder reads is made small, of a variance of which such an epsilon is a thousandth.
    """
    base = toy_architectures.make_model(tmp_path / shape, shape)
    config = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-5}))
    change_tensors(base, r"\.layer\.1\.(attention.*LayerNorm|output\.dense)", scale)
    case = case_of(tmp_path, base, task=CLASSES)
    assert case.stock.added_layer
    after = load_folder(case.folder, case.stock)
    np.testing.assert_allclose(after.logits(TEXTS), case.pruned.logits(TEXTS), rtol=0, atol=2e-6 if scale == 1 else 5e-5)


def change_tensors(base: Path, pattern: str, factor: float) -> None:
    """Multiply the tensors whose names match."""
    with safe_open(base / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
    found = [name for name in tensors if re.search(pattern, name)]
    assert found
    for name in found:
        tensors[name] *= factor
    save_file(tensors, base / "model.safetensors", {"format": "pt"})


def test_large_logits_go_through_a_tanh_unchanged(tmp_path: Path) -> None:
    base = toy_architectures.make_model(tmp_path / "bert", "bert")
    change_tensors(base, r"transform\.LayerNorm\.weight", 30)
    case = case_of(tmp_path, base, task=CLASSES)
    before = case.pruned.logits(TEXTS)
    assert np.abs(before).max() > 20
    np.testing.assert_allclose(load_folder(case.folder, case.stock).logits(TEXTS), before, rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_costs_what_it_costs_elsewhere(cases: dict[tuple[str, str], Case], dtype: torch.dtype) -> None:
    """The scale of the logits in front of a tanh is one that half precision has numbers for."""
    for shape in ("bert", "roberta", "mpnet", "distilbert", "electra", "deberta-v3"):
        case = cases[shape, "words"]
        model = AutoModelForSequenceClassification.from_pretrained(case.folder, dtype=dtype).eval()
        tokens = case.pruned.tokenizer(TEXTS, padding=True, truncation=True, max_length=32, return_tensors="pt")
        with torch.no_grad():
            logits = model(**tokens).logits.float().numpy()
        np.testing.assert_allclose(logits, case.pruned.logits(TEXTS), rtol=0.03, atol=0.03)


def test_a_head_wider_than_the_states_and_too_many_classes_are_refused(tmp_path: Path) -> None:
    """electra-base-generator: states of 256 numbers, a head of 768."""
    with torch.random.fork_rng():
        base = toy_architectures.make_model(tmp_path / "electra", "electra")
        config = ElectraConfig.from_pretrained(base, embedding_size=48)
        ElectraForMaskedLM(config).save_pretrained(base)
    case = case_of(tmp_path / "one", base, task=CLASSES)
    assert case.stock.reason == "the head of ElectraForMaskedLM is 48 wide, its states 32, which is not a multiple of it"
    words = list(toy_models.WORDS[:12])
    many = {"dataset": "rows", "text": ["sentence"], "labels": words, "label_words": words}
    case = case_of(tmp_path / "two", toy_architectures.make_model(tmp_path / "bert", "bert"), task=many)
    assert case.stock.reason is not None
    assert case.stock.reason.startswith("12 classes ")


def test_a_classifier_that_says_something_else_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sequence_classifier._HEADS, "bert", ("bert.pooler.dense", "classifier", ((1.0,), (1.0,))))
    case = case_of(tmp_path, toy_architectures.make_model(tmp_path / "bert", "bert"), task=CLASSES)
    assert case.stock.reason == "BertForMaskedLM became a classifier that gives other scores"
    np.testing.assert_array_equal(load_folder(case.folder, case.stock).logits(TEXTS), case.pruned.logits(TEXTS))


def test_the_table_in_the_docs_says_what_the_folders_are(cases: dict[tuple[str, str], Case]) -> None:
    text = (ROOT / "docs" / "reference" / "exports.md").read_text("utf-8")
    section = text.split("## The stock folder")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z0-9_-]+)`", row[0])} == set(MODEL_TYPES)
    for case in cases.values():
        stock = case.stock
        (row,) = [row for row in rows if f"`{stock.model.config.model_type}`" in row[0]]
        cell = row[1 + ("label-words", "span", "classifier").index(stock.info.head)]
        (named,) = re.findall(r"`…?(\w+)`", cell)
        assert stock.class_name.endswith(named)
        assert ("one layer more" in cell, "for no pipeline" in cell) == (stock.added_layer, stock.reason is not None)
