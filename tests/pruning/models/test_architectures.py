"""Every architecture on a toy: the right matrices are masked, all of them learn, and a mask on fresh weights gives the
logits of its training to the last bit."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from pruning.data.encoding import encode_rows
from pruning.data.reader import Rows
from pruning.errors import PermanentError
from pruning.events import Event
from pruning.formats import mask_file
from pruning.hub.models import ModelFolder
from pruning.inference.pruned_model import PrunedModel, load_pruned
from pruning.models.heads import create_head
from pruning.models.loading import load_model, locate_model, weights_digest
from pruning.models.logit_calibration import LogitCalibration
from pruning.sources import Sources
from pruning.spec.tasks import resolve_task
from pruning.training.run import Run
from pruning.training.setup import set_up
from tests import toy_architectures, toy_datasets, toy_models
from tests.model_matrix import MATRIX
from tests.pruning.models.masked_matrices import MASKED
from tests.pruning.runs import run_toy, spec_of

pytestmark = pytest.mark.slow

WITH_WORDS = (*toy_architectures.ENCODERS, *toy_architectures.DECODERS)
CASES = [(shape, "label-words") for shape in WITH_WORDS] + [(shape, "classifier") for shape in toy_architectures.ALL]
LIKE = {row.shape for row in MATRIX if row.like is not None and row.shape != toy_architectures.HEADLESS}
"""Toys with another's structure, whose encoder runs with label words show to be right: their classifiers are exhaustive."""


def marks_of(shape: str, head: str) -> Any:
    return pytest.mark.exhaustive if head == "classifier" and shape in LIKE else ()


ROWS = 45
"""Of the validation split: a number that divides evenly by nothing."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("architectures")
    for shape in toy_architectures.ALL:
        toy_architectures.make_model(root / "models" / shape, shape)
    toy_datasets.make_opinions(root / "datasets" / "sst2")
    return Sources(root / "models", root / "datasets", hub=False)


@dataclass(frozen=True)
class Trained:
    shape: str
    head: str
    model: Path
    artifacts: Path
    events: list[Event]
    digest_before: str

    def pruned(self) -> PrunedModel:
        return load_pruned(self.artifacts / "mask.safetensors", model=self.model)


@pytest.fixture(scope="module", params=[pytest.param(case, marks=marks_of(*case)) for case in CASES], ids="-".join)
def trained(request: pytest.FixtureRequest, sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    shape, head = request.param
    work = tmp_path_factory.mktemp(f"{shape}-{head}")
    assert sources.models_dir is not None
    before = hash_of(sources.models_dir / shape)
    events = run_toy(sources, work, model=shape, head=head, validation_rows=ROWS, sparsity=0.7, max_steps=5)
    return Trained(shape, head, sources.models_dir / shape, work / "artifacts", events, before)


def hash_of(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def ready(sources: Sources, shape: str, head: str) -> Run:
    return set_up(spec_of(model=shape, head=head, dropout=0.0), sources, lambda event: None)


def texts() -> list[str]:
    return [row["sentence"] for row in toy_datasets.opinions(ROWS, 2)]


@pytest.mark.parametrize("shape", toy_architectures.ALL)
def test_exactly_the_linears_of_the_repeated_layers_are_masked(sources: Sources, shape: str) -> None:
    run = ready(sources, shape, "classifier")
    prefix, kinds = MASKED[shape]
    layers = 1 if shape == "albert" else toy_models.LAYERS  # ALBERT's layers share their weights
    expected = {f"{prefix}.{i}.{name}": size for i in range(layers) for name, size in kinds.items()}
    assert {path: tuple(layer.base.shape) for path, layer in run.matrices.layers.items()} == expected
    assert len(run.matrices.groups) == len(kinds)
    assert all(len(paths) == layers for paths in run.matrices.groups.values())


@pytest.mark.parametrize("shape", WITH_WORDS)
def test_gradients_and_loss_are_those_of_the_stock_model(sources: Sources, shape: str) -> None:
    run = ready(sources, shape, "label-words")
    batch = run.batch(0, 0)
    loss = run.pruner.loss_of(batch)
    loss.backward()
    assert sources.models_dir is not None
    kind = AutoModelForCausalLM if shape in toy_architectures.DECODERS else AutoModelForMaskedLM
    stock = kind.from_pretrained(sources.models_dir / shape, dtype=torch.float32).eval()
    logits = stock(**{name: tensor for name, tensor in batch.items() if name != "labels"}).logits
    last = batch["attention_mask"].sum(1) - 1 if shape in toy_architectures.DECODERS else torch.zeros_like(batch["labels"])
    calibration = run.head.calibration
    assert isinstance(calibration, LogitCalibration)
    words = logits[torch.arange(len(last)), last][:, run.label_ids]
    calibrated = words * calibration.scale + torch.tensor(calibration.offsets)
    ours = functional.cross_entropy(calibrated, batch["labels"])
    ours.backward()
    assert loss.item() == pytest.approx(ours.item(), rel=1e-5)
    for path, layer in run.matrices.layers.items():
        theirs = stock.get_parameter(f"{path}.weight").grad
        assert theirs is not None
        if shape == "gpt2":  # its Conv1D has the weight of a linear layer the other way round
            theirs = theirs.t()
        assert layer.weight.grad is not None
        torch.testing.assert_close(layer.weight.grad, theirs, rtol=1e-3, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize(("shape", "head"), [pytest.param(*case, marks=marks_of(*case)) for case in CASES])
def test_every_masked_matrix_receives_gradient(sources: Sources, shape: str, head: str) -> None:
    run = ready(sources, shape, head)
    result = run.pruner.step(0, [run.batch(0, 0)])
    assert len(result.update.grad_norms) == len(run.matrices.layers)
    assert all(norm > 1e-9 for norm in result.update.grad_norms)
    for layer in run.matrices.layers.values():
        assert (layer.scores != 0).float().mean() > 0.9


def test_logits_of_a_mask_on_fresh_weights_are_those_of_its_training(trained: Trained) -> None:
    rows = [json.loads(line) for line in (trained.artifacts / "predictions.jsonl").read_text().splitlines()]
    logits = trained.pruned().logits(texts())
    assert [[float(value) for value in row] for row in logits] == [row["logits"] for row in rows]
    assert len({tuple(row["logits"]) for row in rows}) > ROWS // 2  # and not one constant


def test_the_base_is_as_before_and_the_mask_is_of_the_density_asked_for(trained: Trained) -> None:
    assert hash_of(trained.model) == trained.digest_before
    masks, info = mask_file.read(trained.artifacts / "mask.safetensors")
    loaded = load_model(locate_model(trained.shape, None, Sources(trained.model.parent, hub=False)), ("Yes", "No"), trained.head)
    assert info.base_digest == weights_digest(loaded.model, loaded.new_parameters)
    kept, total = sum(int(mask.sum()) for mask in masks.values()), sum(mask.size for mask in masks.values())
    assert 0 <= 0.3 * total - kept < len(masks)
    assert all(0 < mask.sum() < mask.size for mask in masks.values())


def test_only_a_new_head_is_stored_with_the_mask(trained: Trained) -> None:
    names = {event.name for event in trained.events if event.event == "artifact"}
    assert ("weights.safetensors" in names) == (trained.head == "classifier")
    assert (trained.artifacts / "weights.safetensors").is_file() == (trained.head == "classifier")


@torch.no_grad()
def test_padding_does_not_change_logits(trained: Trained) -> None:
    pruned = trained.pruned()
    either = set(toy_architectures.DECODERS) - {"gpt2"}  # whose positions count from the left edge
    sides = ("right", "left") if trained.shape in either else ("right",)
    for text in texts()[:4]:
        alone = dict(pruned.tokenizer(text, return_tensors="pt"))
        expected = pruned.head(**alone)
        for side in sides:
            length = alone["input_ids"].shape[1] + 9
            padded = pruned.tokenizer(text, padding="max_length", max_length=length, padding_side=side, return_tensors="pt")
            assert padded["input_ids"].shape[1] == length
            torch.testing.assert_close(pruned.head(**padded), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_rows_of_one_batch_do_not_see_each_other(trained: Trained) -> None:
    pruned = trained.pruned()
    some = texts()[:6]
    together = pruned.head(**pruned.tokenizer(some, padding=True, return_tensors="pt"))
    for text, logits in zip(some, together, strict=True):
        alone = pruned.head(**pruned.tokenizer([text], return_tensors="pt"))
        torch.testing.assert_close(alone[0], logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", toy_architectures.DECODERS)
def test_a_decoder_is_read_at_its_last_token_of_text(sources: Sources, shape: str) -> None:
    run = ready(sources, shape, "label-words")
    batch = run.train.batch([0, 1, 2], torch.device("cpu"))
    inputs: dict[str, Any] = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        before = run.head(**inputs)
        last = inputs["attention_mask"].sum(1) - 1
        inputs["input_ids"] = inputs["input_ids"].scatter(1, last[:, None], 300)
        changed = run.head(**inputs)
    assert (before != changed).any(dim=1).all()


def test_a_classifier_of_a_decoder_and_its_label_words_differ_only_in_the_head(sources: Sources) -> None:
    words, classifier = ready(sources, "llama", "label-words"), ready(sources, "llama", "classifier")
    assert list(words.matrices.layers) == list(classifier.matrices.layers)
    assert words.base_digest != classifier.base_digest  # an output embedding is part of the one and not of the other
    assert classifier.extras.names == ("score.weight",)
    assert words.extras.count == 0


def test_a_model_without_any_token_to_pad_with_is_refused(sources: Sources, tmp_path: Path) -> None:
    folder = toy_architectures.make_model(tmp_path / "llama", "llama")
    about = json.loads((folder / "tokenizer_config.json").read_text())
    del about["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    given = Sources(tmp_path, sources.datasets_dir, hub=False)
    with pytest.raises(PermanentError) as caught:
        ready(given, "llama", "label-words")
    assert (caught.value.code, caught.value.param) == ("model_invalid", "model")


@pytest.mark.parametrize("shape", toy_architectures.ALL)
@pytest.mark.parametrize("configured", [None, 3, 7])
@torch.no_grad()
def test_a_classifier_pads_by_the_tokenizer_with_any_configuration(tmp_path: Path, shape: str, configured: int | None) -> None:
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": configured}))
    if shape in ("roberta", "mpnet") and configured != 3:
        return  # their positions count from it: none means nothing, and 7 leaves too few
    loaded = load_model(ModelFolder(folder, None), ("Yes", "No"), "classifier")
    head = create_head(loaded, [], [0, 1], "classifier").eval()
    some = [*texts()[:3], "a", "the film"]
    rows = Rows((some,), [0] * len(some), "given")
    encoded = encode_rows(rows, resolve_task("sst2"), loaded.tokenizer, 64)

    def logits(*numbers: int) -> torch.Tensor:
        batch = encoded.batch(list(numbers), torch.device("cpu"))
        del batch["labels"]
        return head(**batch)

    together = logits(*range(len(some)))
    for i in range(len(some)):
        torch.testing.assert_close(logits(i)[0], together[i], rtol=0, atol=1e-5)
        bare = loaded.tokenizer([some[i]], return_tensors="pt")
        torch.testing.assert_close(head(**bare)[0], together[i], rtol=0, atol=1e-5)
