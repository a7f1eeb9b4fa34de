"""Checkpoints of a run: its state as tensors, and atomic files of it, from which a run resumes to the same bits.

A checkpoint is one safetensors file (scores, moments, other trained parameters, random state) named by its step, written
to a temporary name, synced and renamed by a background thread. Two are kept; a corrupt newest one falls back to the one
before. The position in the data and in the schedule follows from the step number. Called by :mod:`pruning.training.resume`.
"""

import hashlib
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pruning import failpoints
from pruning.data.encoding import EncodedRows
from pruning.data.holdout import DEFAULT_SHARE
from pruning.errors import failed_write
from pruning.files import atomic_write
from pruning.spec.schema import PruningSpec
from pruning.training.step import Backend

KEPT = 2
_PARTIAL = ".writing-"
State = dict[str, torch.Tensor]


def capture(pruner: Backend[Any]) -> State:
    """A copy of the run's state, on the CPU."""
    state: State = {"random.cpu": torch.get_rng_state().clone()}
    if torch.cuda.is_available():
        state["random.cuda"] = torch.cuda.get_rng_state().clone()
    optimizer = pruner.optimizer
    for i, layer in enumerate(optimizer.layers):
        moving = {"scores": layer.scores, "first": optimizer.first[i], "second": optimizer.second[i]}
        state |= {f"{name}.{i}": tensor.detach().to("cpu", copy=True) for name, tensor in moving.items()}
    if pruner.weight_adam:
        state |= {name: tensor.to("cpu", copy=True) for name, tensor in pruner.weight_adam.state().items()}
    return state


def restore(state: State, step: int, pruner: Backend[Any]) -> None:
    """Put a captured state back."""
    optimizer = pruner.optimizer
    for i, layer in enumerate(optimizer.layers):
        layer.scores.copy_(state[f"scores.{i}"])
        optimizer.first[i].copy_(state[f"first.{i}"])
        optimizer.second[i].copy_(state[f"second.{i}"])
    optimizer.steps = step
    if pruner.weight_adam:
        pruner.weight_adam.restore(state)
    torch.set_rng_state(state["random.cpu"])
    if torch.cuda.is_available() and "random.cuda" in state:
        torch.cuda.set_rng_state(state["random.cuda"])


def identity(spec: PruningSpec, base_digest: str, train: EncodedRows, kernels: str = "plain", start_digest: str = "") -> str:
    """Digest of the run that a checkpoint belongs to: the same spec on the same weights and rows, with the same teacher
    logits, from the same mask, and the same ``kernels``, which round differently (:mod:`pruning.masking.kernels.dispatch`)."""
    stated = spec.of_the_mask.model_dump_json(exclude=spec.unsaid)
    total = hashlib.sha256(f"{stated}{base_digest}{kernels}{start_digest}".encode())
    for ids in train.input_ids:
        total.update(np.asarray(ids, dtype=np.int32).data)
    total.update(train.labels.numpy().data)
    for logits in train.teacher_logits or ():
        total.update(np.ascontiguousarray(logits).data)
    return total.hexdigest()


def earlier_identity(
    spec: PruningSpec, base_digest: str, train: EncodedRows, kernels: str = "plain", start_digest: str = ""
) -> str | None:
    """The same run as versions identified it that did not put the default ``validation_share`` into the spec; None: no other.

    They held the same rows out, and the digest of the rows that are left tells these runs from all others.
    """
    if spec.validation_share != DEFAULT_SHARE:
        return None
    return identity(spec.model_copy(update={"validation_share": None}), base_digest, train, kernels, start_digest)


class Checkpoints:
    """The checkpoints of one run in one folder."""

    def __init__(self, folder: Path, belongs_to: str, written: Callable[[int], None], earlier: str | None = None) -> None:
        """``written`` is called from the background thread with the step of each checkpoint once it is on disk.

        ``belongs_to`` is the :func:`identity` of the run, ``earlier`` its :func:`earlier_identity`.
        """
        self.folder, self.belongs_to, self._written = folder, belongs_to, written
        self._known = {belongs_to, earlier} - {None}
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None
        self.unreadable: list[str] = []
        """Names of the checkpoints that ``latest`` found damaged."""
        self.foreign: list[str] = []
        """Names of the checkpoints that ``latest`` found to belong to another run."""
        folder.mkdir(parents=True, exist_ok=True)
        shared = folder.stat().st_mode & stat.S_ISGID  # with a worker of another user, which copies them
        self._mode = 0o640 if shared else 0o600
        for leftover in folder.glob(f"{_PARTIAL}*"):  # of a process that was killed while it wrote
            leftover.unlink(missing_ok=True)

    def latest(self) -> tuple[int, State] | None:
        """Step and state of the newest readable checkpoint of this run; None when there is none."""
        for file in sorted(self.folder.glob("step-*.safetensors"), reverse=True):
            try:
                with safe_open(file, framework="pt") as stored:
                    if (stored.metadata() or {}).get("belongs_to") not in self._known:
                        self.foreign.append(file.name)
                        continue
                    return int(file.stem.removeprefix("step-")), {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
            except (SafetensorError, OSError, ValueError):
                self.unreadable.append(file.name)  # cut short by a crash or a full disk: the one before is used
        return None

    def save(self, step: int, state: State) -> None:
        """Write in the background; waits only for the write before. Raises OSError if that one failed."""
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(step, state), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written. Raises OSError if the last write failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _write(self, step: int, state: State) -> None:
        try:
            self._put(step, state)
        except OSError as failure:
            self._failure = failure
        except SafetensorError as failure:
            self._failure = failed_write(failure)
        else:
            self._written(step)

    def _put(self, step: int, state: State) -> None:
        with atomic_write(self.folder / f"step-{step:010d}.safetensors", _PARTIAL, mode=self._mode) as draft:
            failpoints.hit(failpoints.Failpoint.CHECKPOINT_BEGUN)
            save_file(state, draft, metadata={"belongs_to": self.belongs_to})
            failpoints.hit(failpoints.Failpoint.CHECKPOINT_WRITTEN)
        failpoints.hit(failpoints.Failpoint.CHECKPOINT_NAMED)
        for old in sorted(self.folder.glob("step-*.safetensors"))[:-KEPT]:
            old.unlink(missing_ok=True)  # a trainer whose supervisor is frozen may do the same at the same time
