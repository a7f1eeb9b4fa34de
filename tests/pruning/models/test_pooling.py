"""Mean pooling of classifiers: against the layers written out, with any padding, and removed without trace."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.data.encoding import EncodedRows, encode_rows
from pruning.data.reader import Rows
from pruning.errors import PermanentError
from pruning.hub.models import ModelFolder
from pruning.models.heads import create_head
from pruning.models.loading import LoadedModel, load_model
from pruning.models.pooling_checks import check_pooling, declares_mean, own_pooling
from pruning.spec.tasks import resolve_task
from tests import toy_architectures

ENCODERS = (*toy_architectures.ENCODERS, toy_architectures.HEADLESS)
TEXTS = ["the film was lovely", "a", "a grim story with very weak actor and cold scene", "the film"]
Layers = Callable[[Any, torch.Tensor], torch.Tensor]


def _pooler(model: Any, mean: torch.Tensor) -> torch.Tensor:
    return model.classifier(model.base_model.pooler(mean[:, None]))


def _classifier(model: Any, mean: torch.Tensor) -> torch.Tensor:
    return model.classifier(mean[:, None])


def _deberta(model: Any, mean: torch.Tensor) -> torch.Tensor:
    return model.classifier(model.pooler(mean[:, None]))


BEHIND: dict[str, Layers] = {
    "bert": _pooler,
    "minilm": _pooler,
    "mobilebert": _pooler,
    "albert": lambda model, mean: model.classifier(torch.tanh(model.albert.pooler(mean))),
    "distilbert": lambda model, mean: model.classifier(torch.relu(model.pre_classifier(mean))),
    "modernbert": lambda model, mean: model.classifier(model.head(mean)),
    "deberta-v2": _deberta,
    "deberta-v3": _deberta,
    **dict.fromkeys(("camembert", "electra", "mpnet", "roberta", "xlm-roberta"), _classifier),
}
"""What each class computes behind the pooled state [B, H]."""


def loaded_toy(folder: Path, shape: str) -> LoadedModel:
    path = toy_architectures.make_model(folder / shape, shape)
    return load_model(ModelFolder(path, None), ("Yes", "No"), "classifier")


def encoded(loaded: LoadedModel) -> EncodedRows:
    return encode_rows(Rows((TEXTS,), [0] * len(TEXTS), "given"), resolve_task("sst2"), loaded.tokenizer, 64)


def inputs_of(rows: EncodedRows, *numbers: int) -> dict[str, torch.Tensor]:
    batch = rows.batch(list(numbers), torch.device("cpu"))
    del batch["labels"]
    return batch


@pytest.mark.parametrize("shape", ENCODERS)
@torch.no_grad()
def test_the_layers_of_the_class_read_the_mean_of_the_tokens_and_no_padding(tmp_path: Path, shape: str) -> None:
    loaded = loaded_toy(tmp_path, shape)
    rows, model = encoded(loaded), loaded.model
    plain = create_head(loaded, [], [1, 0], "classifier")
    before = plain(**inputs_of(rows, 0, 1, 2, 3))
    head = create_head(loaded, [], [1, 0], "classifier", pooling="mean").eval()
    together, copied = head(**inputs_of(rows, 0, 1, 2, 3)), copy.deepcopy(head)
    alone = [head(**inputs_of(rows, i))[0] for i in range(len(TEXTS))]
    torch.testing.assert_close(copied(**inputs_of(rows, 0, 1, 2, 3)), together, rtol=0, atol=0)
    for i in range(len(TEXTS)):
        torch.testing.assert_close(alone[i], together[i], rtol=0, atol=1e-5)
        bare = loaded.tokenizer([TEXTS[i]], return_tensors="pt")
        torch.testing.assert_close(head(**bare)[0], together[i], rtol=0, atol=1e-5)
    head.release()
    torch.testing.assert_close(plain(**inputs_of(rows, 0, 1, 2, 3)), before, rtol=0, atol=0)
    for i in range(len(TEXTS)):
        bare = loaded.tokenizer([TEXTS[i]], return_tensors="pt")
        mean = model.base_model(**bare).last_hidden_state.mean(dim=1)
        torch.testing.assert_close(BEHIND[shape](model, mean)[0, [1, 0]], together[i], rtol=0, atol=1e-5)
    assert not torch.allclose(together, before, atol=1e-3)


@torch.no_grad()
def test_a_class_with_both_poolings_uses_the_requested_one(tmp_path: Path) -> None:
    path = toy_architectures.make_model(tmp_path / "modernbert", "modernbert")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "classifier_pooling": "mean"}))
    assert own_pooling(path) == "mean"
    loaded = load_model(ModelFolder(path, None), ("Yes", "No"), "classifier")
    batch = inputs_of(encoded(loaded), 0, 1)
    logits = {}
    for pooling in (None, "mean", "first"):
        head = create_head(loaded, [], [0, 1], "classifier", pooling=pooling)
        logits[pooling] = head(**batch)
        head.release()
    assert torch.equal(logits[None], logits["mean"])
    assert not torch.allclose(logits["first"], logits["mean"], atol=1e-3)
    assert loaded.model.config.classifier_pooling == "mean"


def test_decoders_and_trained_classifiers_keep_what_they_read(tmp_path: Path) -> None:
    trained = toy_architectures.make_classifier(tmp_path / "trained", ["a", "b"])
    decoder = toy_architectures.make_model(tmp_path / "gpt2", "gpt2")
    fresh = toy_architectures.make_model(tmp_path / "bert", "bert")
    for path, pooling in ((trained, None), (trained, "first"), (decoder, None), (fresh, "first"), (fresh, "mean")):
        check_pooling(path, pooling)  # type: ignore[arg-type]
    for path, pooling in ((trained, "mean"), (decoder, "mean"), (decoder, "first")):
        with pytest.raises(PermanentError) as caught:
            check_pooling(path, pooling)  # type: ignore[arg-type]
        assert (caught.value.code, caught.value.param) == ("pooling_unsupported", "pooling")


@pytest.mark.parametrize(
    ("modules", "pooling", "mean"),
    [
        ('[{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.models.Pooling"}]', True, True),
        ('[{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.models.Pooling"}]', False, False),
        ('[{"path": "../1_Pooling", "type": "a.models.Pooling"}]', True, False),
        ('[{"path": "1_Pooling", "type": "a.Dense"}]', True, False),
        ("[", True, False),
        ("{}", True, False),
        (None, True, False),
    ],
)
def test_a_folder_of_sentence_transformers_declares_its_pooling(
    tmp_path: Path, modules: str | None, pooling: bool, mean: bool
) -> None:
    if modules is not None:
        (tmp_path / "modules.json").write_text(modules)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": pooling}))
    assert declares_mean(tmp_path) is mean
