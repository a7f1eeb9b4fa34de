"""``python -m pruning train`` from outside: exit codes, the last line, signals, and nothing but events on standard output."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from pruning.events import ExitCode
from pruning.sources import Sources
from tests.pruning.runs import arguments_of, finish, fork, make_sources, next_event, start

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def _without_head(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "predictions.transform" not in name}
    save_file(kept, model / "model.safetensors", metadata={"format": "pt"})


def _without_a_layer(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1.output.dense" not in name}
    save_file(kept, model / "model.safetensors", metadata={"format": "pt"})


def _pickled(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _cut(model: Path) -> None:
    os.truncate(model / "model.safetensors", 5000)


def _of_another_type(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))


# name → (what is done to the model folder, fields of the spec, code, param)
REFUSED: dict[str, tuple[Change | None, dict[str, Any] | str, str, str | None]] = {
    "a spec that is not JSON": (None, "{", "json_invalid", ""),
    "a field out of range": (None, {"sparsity": 1.5}, "less_than", "sparsity"),
    "a field that does not exist": (None, {"sparsty": 0.5}, "extra_forbidden", "sparsty"),
    "a model that is not there": (None, {"model": "bort"}, "model_not_found", "model"),
    "a folder without safetensors": (_pickled, {}, "model_weights_missing", "model"),
    "a corrupt file": (_cut, {}, "model_weights_corrupt", "model"),
    "no head": (_without_head, {}, "model_head_missing", "model"),
    "a missing layer": (_without_a_layer, {}, "model_weights_incomplete", "model"),
    "an unsupported type": (_of_another_type, {}, "model_type_unsupported", "model"),
    "an unknown label word": (None, {"label_words": ["great", "zebra"]}, "label_word_unknown", "label_words.1"),
    "labels of another task": (
        None,
        {"task": {"dataset": "stsb", "text": ["sentence1"], "label_words": ["Yes", "No"]}},
        "labels_mismatch",
        "label_words",
    ),
    "a revision of a local folder": (None, {"revision": "main"}, "revision_not_found", "revision"),
    "a data set that is not there": (None, {"task": "cola"}, "dataset_not_found", "task"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_that_cannot_work_ends_with_65_and_says_why_on_its_last_line(sources: Sources, tmp_path: Path, name: str) -> None:
    change, fields, code, param = REFUSED[name]
    if change is not None:
        assert sources.models_dir is not None
        shutil.copytree(sources.models_dir / "bert", tmp_path / "models" / "bert")
        change(tmp_path / "models" / "bert")
        sources = Sources(tmp_path / "models", sources.datasets_dir, hub=False)
    ended = fork(arguments_of(tmp_path / "work", fields, sources), tmp_path).finish()
    assert ended.code == ExitCode.PERMANENT, ended.stderr
    assert (ended.last.event, ended.last.kind, ended.last.code, ended.last.param) == ("error", "permanent", code, param)
    assert len(ended.last.message) > 20
    assert not any(event.event in ("started", "step") for event in ended.events)


def test_a_spec_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    ended = finish(start(["train", "--spec", str(tmp_path / "no.json"), "--work", str(tmp_path / "work")]))
    assert (ended.code, ended.last.code) == (65, "spec_unreadable")


def test_a_run_that_succeeds_ends_with_0_and_a_finished_line(sources: Sources, tmp_path: Path) -> None:
    ended = finish(start(arguments_of(tmp_path / "work", {}, sources)))
    assert ended.code == 0, ended.stderr
    assert ended.last.event == "finished"
    announced = {event.name: event for event in ended.events if event.event == "artifact"}
    for file in (tmp_path / "work" / "artifacts").iterdir():
        assert announced[file.name].bytes == file.stat().st_size
    evaluated = fork(
        [
            "evaluate",
            "--mask",
            str(tmp_path / "work/artifacts/mask.safetensors"),
            "--no-hub",
            "--models-dir",
            str(sources.models_dir),
            "--datasets-dir",
            str(sources.datasets_dir),
        ],
        tmp_path,
    ).finish()
    assert evaluated.code == 0, evaluated.stderr
    assert evaluated.last.metrics["final"] == ended.last.metrics["final"]


def test_output_of_libraries_goes_to_standard_error(sources: Sources, tmp_path: Path) -> None:
    talkative = (
        "import os\n"
        "import pruning.cli.train as program\n"
        "def loud():\n"
        "    print('from python', flush=True)\n"
        "    os.system('echo from a child')\n"
        "    os.write(1, b'from below\\n')\n"
        "program.silence_libraries = loud\n"
    )
    arguments = arguments_of(tmp_path / "work", {"model": "bort"}, sources)
    ended = fork(arguments, tmp_path, before=talkative).finish()
    assert (ended.code, ended.last.code) == (65, "model_not_found")
    for said in ("from python", "from a child", "from below"):
        assert said in ended.stderr


def test_a_stop_during_training_saves_a_checkpoint_and_ends_with_80(sources: Sources, tmp_path: Path) -> None:
    process = fork(arguments_of(tmp_path / "work", {"max_steps": 5000, "checkpoint_every": 5000}, sources), tmp_path)
    process.next_event("step")
    process.signal(signal.SIGTERM)
    ended = process.finish()
    assert ended.code == ExitCode.STOPPED, ended.stderr
    assert ended.last.event == "checkpoint"
    assert (tmp_path / "work" / "checkpoints" / f"step-{ended.last.step:010d}.safetensors").is_file()


STOPPED_INSIDE = {
    "the configuration": ("pruning.models.loading", "AutoConfig"),
    "the tokenizer": ("pruning.models.label_words", "Tokenizer"),
    "the rows": ("pruning.training.inputs", "load_rows"),
}


@pytest.mark.parametrize("what", STOPPED_INSIDE)
def test_a_stop_before_training_ends_with_80_and_is_no_fault_of_what_was_being_read(
    sources: Sources, tmp_path: Path, what: str
) -> None:
    """The signal arrives inside a library, and around some of them every exception means a broken file."""
    module, name = STOPPED_INSIDE[what]
    signalled = (
        f"import os, signal, {module}\n"
        "class Signalling:\n"
        "    def __call__(self, *_, **__):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    def __getattr__(self, _):\n"
        "        return self\n"
        f"{module}.{name} = Signalling()\n"
    )
    ended = fork(arguments_of(tmp_path / "work", {}, sources), tmp_path, before=signalled).finish()
    assert ended.code == ExitCode.STOPPED, (ended.events, ended.stderr)
    assert not any(event.event in ("error", "finished") for event in ended.events)


def test_the_program_ends_when_the_one_that_watches_it_is_gone(sources: Sources, tmp_path: Path) -> None:
    process = start(arguments_of(tmp_path / "work", {"max_steps": 100_000}, sources, "--watch-stdin"))
    next_event(process, "step")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == ExitCode.STOPPED
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_full_disk_is_a_temporary_failure(sources: Sources, tmp_path: Path) -> None:
    full = (
        "import pruning.training.checkpoint as checkpoint\n"
        "def save_file(*_, **__):\n"
        "    raise checkpoint.SafetensorError('I/O error: No space left on device (os error 28)')\n"
        "checkpoint.save_file = save_file\n"
    )
    ended = fork(arguments_of(tmp_path / "work", {"checkpoint_every": 2}, sources), tmp_path, before=full).finish()
    assert (ended.code, ended.last.code) == (ExitCode.TEMPORARY, "insufficient_storage"), ended.stderr


def test_a_fault_of_our_own_ends_with_1_and_a_traceback(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    ended = fork(arguments_of(tmp_path / "work", {}, sources), tmp_path).finish()
    assert ended.code == ExitCode.BUG
    assert "Traceback" in ended.stderr
