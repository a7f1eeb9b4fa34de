"""Checkpoints are written whole or not at all, belong to one run, and fall back to the one before."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pruning.data.encoding import EncodedRows
from pruning.masking.methods.smp import SmpL
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.wrap import wrap_linears
from pruning.spec.schema import PruningSpec
from pruning.training import checkpoint
from pruning.training.checkpoint import Checkpoints, capture, earlier_identity, identity, restore
from pruning.training.pruner import Pruner


def state(value: float) -> dict[str, torch.Tensor]:
    return {"scores.a": torch.full((3, 2), value), "random.cpu": torch.get_rng_state()}


def checkpoints(folder: Path, belongs_to: str = "run") -> tuple[Checkpoints, list[int]]:
    announced: list[int] = []
    return Checkpoints(folder, belongs_to, announced.append), announced


def saved(folder: Path, *steps: int, belongs_to: str = "run") -> Checkpoints:
    found, _ = checkpoints(folder, belongs_to)
    for step in steps:
        found.save(step, state(step))
    found.wait()
    return found


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_newest_checkpoint_is_found_with_its_step(tmp_path: Path) -> None:
    saved(tmp_path / "c", 10, 9_999, 20_000)
    found = checkpoints(tmp_path / "c")[0].latest()
    assert found is not None
    assert found[0] == 20_000
    assert torch.equal(found[1]["scores.a"], torch.full((3, 2), 20_000.0))


def test_a_new_folder_has_none(tmp_path: Path) -> None:
    assert checkpoints(tmp_path / "deep" / "c")[0].latest() is None


def test_two_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3, 4)
    assert files(tmp_path) == ["step-0000000003.safetensors", "step-0000000004.safetensors"]


def test_each_is_reported_once_it_is_on_disk(tmp_path: Path) -> None:
    there: list[bool] = []
    found = Checkpoints(tmp_path, "run", lambda step: there.append((tmp_path / f"step-{step:010d}.safetensors").exists()))
    found.save(1, state(1))
    found.save(2, state(2))
    found.wait()
    assert there == [True, True]


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_newest_one_cut_short_falls_back_to_the_one_before(tmp_path: Path, kept: int) -> None:
    saved(tmp_path, 5, 10)
    newest = tmp_path / "step-0000000010.safetensors"
    newest.write_bytes(newest.read_bytes()[:kept])
    found = checkpoints(tmp_path)[0].latest()
    assert found is not None
    assert found[0] == 5


def test_nothing_readable_means_none(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    (tmp_path / "step-0000000005.safetensors").write_bytes(b"")
    (tmp_path / "step-nonsense.safetensors").write_bytes(b"")
    assert checkpoints(tmp_path)[0].latest() is None


def test_those_of_another_run_are_not_taken(tmp_path: Path) -> None:
    saved(tmp_path, 7, belongs_to="other")
    assert checkpoints(tmp_path)[0].latest() is None
    saved(tmp_path, 3)
    found = checkpoints(tmp_path)[0].latest()
    assert found is not None
    assert found[0] == 3


def test_a_full_disk_is_reported_and_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, announced = checkpoints(tmp_path)
    found.save(1, state(1))
    found.wait()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    found.save(2, state(2))
    with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}"):
        found.wait()
    assert files(tmp_path) == ["step-0000000001.safetensors"]
    assert announced == [1]
    found.wait()  # announced once


def test_a_full_disk_is_recognised_in_the_words_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = checkpoints(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    found.save(1, state(1))
    with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}"):
        found.wait()


def test_a_folder_that_is_gone_is_reported(tmp_path: Path) -> None:
    found, announced = checkpoints(tmp_path / "c")
    (tmp_path / "c").rmdir()
    (tmp_path / "c").write_text("a file in its place")
    found.save(1, state(1))
    with pytest.raises((NotADirectoryError, FileNotFoundError)):
        found.wait()
    assert announced == []


def test_a_failure_shows_at_the_next_save_at_the_latest(tmp_path: Path) -> None:
    found, _ = checkpoints(tmp_path / "c")
    (tmp_path / "c").rmdir()
    found.save(1, state(1))
    with pytest.raises(FileNotFoundError):
        found.save(2, state(2))


def pruner_of(seed: int) -> Pruner[int]:
    """After three steps of random gradients; micro-batches are numbers."""
    torch.manual_seed(seed)
    model = nn.ModuleList([nn.Linear(4, 3), nn.Linear(3, 2)])
    matrices = wrap_linears(model)

    def loss_of(batch: int) -> torch.Tensor:
        x = torch.randn(5, 4, generator=torch.Generator().manual_seed(batch))
        return torch.as_tensor(model[1](torch.tanh(model[0](x))).square().mean())

    spec = PruningSpec(model="m", task="sst2", max_steps=10)
    pruner = Pruner(matrices, SmpL(), ScoreAdam(list(matrices.layers.values())), Schedule.from_spec(spec, 10), loss_of)
    for t in range(3):
        pruner.step(t, [seed + t])
    return pruner


def test_what_was_captured_is_put_back_to_the_last_bit(tmp_path: Path) -> None:
    pruner = pruner_of(1)
    found, _ = checkpoints(tmp_path)
    found.save(3, capture(pruner))
    expected = torch.rand(4)
    found.wait()

    other = pruner_of(2)
    latest = found.latest()
    assert latest is not None
    restore(latest[1], latest[0], other)
    assert torch.equal(torch.rand(4), expected)
    assert other.optimizer.steps == 3
    for path, layer in pruner.matrices.layers.items():
        assert torch.equal(other.matrices.layers[path].scores, layer.scores)
    mine, theirs = pruner.optimizer, other.optimizer
    for ours, others in ((mine.first, theirs.first), (mine.second, theirs.second)):
        assert all(torch.equal(a, b) for a, b in zip(ours, others, strict=True))


def test_a_captured_state_does_not_move_with_the_run(tmp_path: Path) -> None:
    pruner = pruner_of(1)
    captured = capture(pruner)
    before = {name: tensor.clone() for name, tensor in captured.items()}
    pruner.step(3, [3])
    assert all(torch.equal(captured[name], tensor) for name, tensor in before.items())


def test_a_checkpoint_is_an_ordinary_safetensors_file(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    assert set(load_file(tmp_path / "step-0000000001.safetensors")) == {"scores.a", "random.cpu"}


def encoded(*ids: list[int], labels: tuple[int, ...] = (0, 1), teacher: float | None = None) -> EncodedRows:
    logits = None if teacher is None else [np.full(2, teacher, dtype=np.float32) for _ in ids]
    return EncodedRows(list(ids), None, torch.tensor(labels), pad_id=0, teacher_logits=logits)


def test_any_change_of_spec_weights_rows_or_teacher_is_another_run() -> None:
    spec, rows = PruningSpec(model="m", task="sst2"), encoded([1, 2], [3])
    others = (
        identity(PruningSpec(model="m", task="sst2", seed=1), "d", rows),
        identity(PruningSpec(model="m", task="sst2", label_word_pieces="mean"), "d", rows),
        identity(spec, "e", rows),
        identity(spec, "d", encoded([1, 2], [4])),
        identity(spec, "d", encoded([1, 2], [3], labels=(1, 1))),
        identity(spec, "d", encoded([1, 2], [3], teacher=0.5)),
        identity(spec, "d", encoded([1, 2], [3], teacher=0.6)),
    )
    same = identity(PruningSpec.model_validate(spec.model_dump()), "d", encoded([1, 2], [3]))
    assert identity(spec, "d", rows) == same
    assert len({same, *others}) == 8


@pytest.mark.parametrize(("share", "accepted"), [(0.1, True), (0.2, False), (None, False)])
def test_only_the_share_that_is_the_default_may_be_missing_in_an_identity(
    share: float | None, accepted: bool, tmp_path: Path
) -> None:
    without = PruningSpec(model="m", task="sst2")
    spec, rows = without.holding_out(share), encoded([1, 2], [3])
    assert earlier_identity(spec, "d", rows) == (identity(without, "d", rows) if accepted else None)
    saved(tmp_path, 1, belongs_to=identity(without, "d", rows))
    found = Checkpoints(tmp_path, "another", lambda step: None, earlier_identity(spec, "d", rows))
    assert (found.latest() is not None, len(found.foreign)) == (accepted, 0 if accepted else 1)
