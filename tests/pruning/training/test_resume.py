"""Interrupted and resumed runs: their result equals that of an uninterrupted one."""

import errno
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pruning.errors import StoppedError
from pruning.sources import Sources
from pruning.training.checkpoint import Checkpoints
from tests.pruning.runs import arguments_of, finished, fork, make_sources, of_kind, run_toy, same_masks, stop_after

LEARNING: dict[str, Any] = {"max_steps": 100, "batch_size": 16, "dropout": 0.0, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.mark.parametrize("method", ["smp-s", "smp-l"])
@pytest.mark.parametrize("steps", [1, 7, 11, 12])
def test_a_run_that_was_stopped_and_resumed_ends_as_if_it_never_was(
    sources: Sources, tmp_path: Path, captured: list[Any], method: str, steps: int
) -> None:
    settings: dict[str, Any] = {"method": method, "dropout": 0.2, "eval_every": 5, "gradient_accumulation": 2}
    whole = run_toy(sources, tmp_path / "whole", **settings)
    with pytest.raises(StoppedError) as stopped:
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(steps), **settings)
    assert stopped.value.step == steps
    torch.manual_seed(999)
    resumed = run_toy(sources, tmp_path / "cut", **settings)
    assert of_kind(resumed, "started")[0].resumed_from == steps
    assert same_masks(tmp_path / "whole", tmp_path / "cut")
    one, _, other = captured
    for path, layer in one.matrices.layers.items():
        assert torch.equal(layer.scores, other.matrices.layers[path].scores)
    predictions = [tmp_path / name / "artifacts" / "predictions.jsonl" for name in ("whole", "cut")]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()
    assert finished(whole)["final"] == finished(resumed)["final"]


def test_a_checkpoint_of_another_spec_is_not_resumed(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path, should_stop=stop_after(4))
    events = run_toy(sources, tmp_path, seed=7)
    assert of_kind(events, "started")[0].resumed_from == 0
    assert [event.level for event in of_kind(events, "log") if "step-0000000004.safetensors" in event.message] == ["warning"]


def test_a_corrupt_newest_checkpoint_falls_back_and_still_ends_the_same(sources: Sources, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"checkpoint_every": 3, "dropout": 0.2}
    run_toy(sources, tmp_path / "whole", **settings)
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(8), **settings)
    newest = max((tmp_path / "cut" / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    assert of_kind(run_toy(sources, tmp_path / "cut", **settings), "started")[0].resumed_from == 6
    assert same_masks(tmp_path / "whole", tmp_path / "cut")


def test_checkpoints_come_as_often_as_asked(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, checkpoint_every=5)
    assert [event.step for event in of_kind(events, "checkpoint")] == [5, 10]


def test_a_checkpoint_that_cannot_be_written_ends_the_run(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Checkpoints, "_put", full)
    with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}"):
        run_toy(sources, tmp_path, checkpoint_every=4)


def test_killed_at_once_and_started_again_the_program_gives_the_mask_of_an_undisturbed_run(
    sources: Sources, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"max_steps": 50, "checkpoint_every": 4, "dropout": 0.2, "gradient_accumulation": 4}
    run_toy(sources, tmp_path / "whole", **settings)
    arguments = arguments_of(tmp_path / "killed", settings, sources)
    process = fork(arguments, tmp_path / "first")
    process.next_event("checkpoint")
    process.signal(signal.SIGKILL)
    assert process.finish().code == -signal.SIGKILL
    assert not (tmp_path / "killed" / "artifacts" / "mask.safetensors").exists()
    again = fork(arguments, tmp_path / "second").finish()
    assert again.code == 0, again.stderr
    assert of_kind(again.events, "started")[0].resumed_from >= 4
    ours = load_file(tmp_path / "whole/artifacts/mask.safetensors")
    theirs = load_file(tmp_path / "killed/artifacts/mask.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_stop_during_the_final_evaluation_is_honoured_and_nothing_is_trained_again(
    sources: Sources, tmp_path: Path, captured: list[Any]
) -> None:
    whole = run_toy(sources, tmp_path / "whole")
    with pytest.raises(StoppedError) as stopped:
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(13))  # twelve steps, then the evaluation's first batch
    assert stopped.value.step == 12
    resumed = run_toy(sources, tmp_path / "cut")
    assert of_kind(resumed, "started")[0].resumed_from == 12
    assert not of_kind(resumed, "step")
    assert same_masks(tmp_path / "whole", tmp_path / "cut")
    assert finished(whole)["final"] == finished(resumed)["final"]
