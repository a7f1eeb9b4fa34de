"""Hub models that cannot be pruned are refused by their configuration and file names, before any weights are sent."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pruning.sources import Sources
from tests import toy_models
from tests.fake_hub import FakeHub
from tests.pruning.hub.test_models import environment
from tests.pruning.hub.warm_trainer import WarmTrainer, warm_trainer
from tests.pruning.runs import arguments_of

Change = Callable[[Path], object]


def configured(**values: object) -> Change:
    """A change of some keys of ``config.json``."""

    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/toy"}))
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def adapter_beside_a_configuration(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def sentence_transformers(folder: Path) -> None:
    (folder / "0_Transformer").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).rename(folder / "0_Transformer" / name)


UNUSABLE: dict[str, tuple[Change, str]] = {
    "gptq": (configured(quantization_config={"quant_method": "gptq", "bits": 4}), "model_quantized"),
    "awq_without_configuration": (lambda folder: (folder / "quant_config.json").write_text("{}"), "model_quantized"),
    "adapter": (adapter, "model_adapter"),
    "adapter_with_config": (adapter_beside_a_configuration, "model_adapter"),
    "pickled": (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "model_weights_missing"),
    "gguf": (lambda folder: (folder / "model.safetensors").rename(folder / "model.Q4_K_M.gguf"), "model_weights_missing"),
    "other_name": (lambda folder: (folder / "model.safetensors").rename(folder / "lm.safetensors"), "model_weights_missing"),
    "unsupported": (configured(model_type="t5", architectures=["T5ForConditionalGeneration"]), "model_type_unsupported"),
    "no_config": (lambda folder: (folder / "config.json").unlink(), "model_config_missing"),
    "sentence_transformers": (sentence_transformers, "model_config_missing"),
    "no_tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer_missing"),
    "odd_values": (configured(num_hidden_layers="two"), "model_config_invalid"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_models.make_model(tmp_path_factory.mktemp("template") / "toy")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmTrainer]:
    folder = tmp_path_factory.mktemp("warm")
    with warm_trainer(folder, environment(FakeHub(), folder / "home")) as trainer:
        yield trainer


@pytest.fixture
def unusable(template: Path, tmp_path: Path) -> FakeHub:
    hub = FakeHub()
    for name, (change, _) in UNUSABLE.items():
        folder = Path(shutil.copytree(template, tmp_path / "hub" / name))
        change(folder)
        hub.publish(f"org/{name}", folder)
    return hub


ASK = """
import json
from pruning.errors import PruningError
from pruning.models.loading import locate_model
from pruning.sources import Sources
for name in NAMES:
    try:
        print(json.dumps(locate_model(name, None, Sources()).path.name))
    except PruningError as failure:
        print(json.dumps([failure.code, failure.param, name in failure.message]))
"""


def test_each_is_refused_before_its_weights_are_sent(warm: WarmTrainer, unusable: FakeHub) -> None:
    names = [f"org/{name}" for name in UNUSABLE]
    with warm.serving(unusable):
        answers = warm.ask(ASK.replace("NAMES", f"{names}"))
    assert dict(zip(UNUSABLE, answers, strict=True)) == {name: [code, "model", True] for name, (_, code) in UNUSABLE.items()}
    assert weights_sent(unusable) == []


def test_a_run_ends_with_the_code_of_a_local_folder(warm: WarmTrainer, unusable: FakeHub, tmp_path: Path) -> None:
    with warm.serving(unusable):
        ended = warm.run(arguments_of(tmp_path / "work", {"model": "org/gptq", "max_steps": 4}, Sources()))
    assert (ended.code, ended.last.kind, ended.last.code) == (65, "permanent", "model_quantized")
    assert weights_sent(unusable) == []


def weights_sent(hub: FakeHub) -> list[str]:
    return [path for path in hub.downloads if path.endswith((".safetensors", ".bin", ".gguf"))]
