"""From a spec to something that can be trained: everything that can fail before training fails here, within seconds."""

import math
import platform
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import torch

from pruning import __version__, losses
from pruning.attach import Matrices, attach
from pruning.data import BatchStream, Encoded, encode, load_rows
from pruning.errors import Permanent
from pruning.events import Event, LogEvent, Phase, PhaseEvent
from pruning.folder import find_folder
from pruning.heads import LabelWordHead, word_ids
from pruning.hub import Located
from pruning.methods import method_of
from pruning.models import Loaded, digest, load, locate
from pruning.optimizer import ScoreAdam
from pruning.schedule import Schedule
from pruning.sources import Sources
from pruning.spec import PruningSpec
from pruning.step import Pruner
from pruning.tasks import Task

Report = Callable[[Event], None]


@dataclass(frozen=True)
class Run:
    """A run, ready to go: model with scores in place, data in order, schedule in steps."""

    spec: PruningSpec
    task: Task
    located: Located
    base_digest: str
    label_ids: list[int]
    head: LabelWordHead
    matrices: Matrices
    pruner: "Pruner[dict[str, torch.Tensor]]"
    train: Encoded
    validation: Encoded
    stream: BatchStream
    total_steps: int
    eval_every: int | None
    max_length: int
    """Tokens at which inputs are cut: the spec's, or what the model can read."""
    device: torch.device

    def batch(self, step: int, part: int) -> dict[str, torch.Tensor]:
        """Micro-batch ``part`` of optimizer step ``step``."""
        number = step * self.spec.gradient_accumulation + part
        return self.train.batch(self.stream.rows(number), self.device)


def prepare(spec: PruningSpec, sources: Sources, report: Report) -> Run:
    """Load, check and wire everything a spec names.

    Raises Permanent or Temporary, each with the field to change.
    """
    seed_everything(spec.seed)
    task = replace(spec.task_table, label_words=spec.label_words)
    say = _phases(report)
    local = find_folder(sources.models_dir, spec.model) is not None
    say("validating" if local else "downloading", f"model {spec.model}")
    located = locate(spec.model, spec.revision, sources)
    if located.note:
        report(LogEvent(level="warning", message=located.note))
    if not local:
        say("validating", f"commit {located.revision}")
    loaded = load(located, spec.label_words, spec.head, dropout=spec.dropout)
    label_ids = word_ids(loaded.tokenizer, spec.label_words)
    if find_folder(sources.datasets_dir, task.name) is None:
        say("downloading", f"data set {task.dataset}")
    splits = (
        load_rows(task, task.train_split, sources, spec.train_rows),
        load_rows(task, task.validation_splits[0], sources, spec.validation_rows),
    )
    say("tokenizing", f"{len(splits[0].labels)} rows")
    max_length = _max_length(spec, loaded, report)
    train, validation = (encode(rows, task, loaded.tokenizer, max_length) for rows in splits)
    return _wire(spec, task, loaded, label_ids, train, validation, max_length)


def _phases(report: Report) -> Callable[[Phase, str], None]:
    return lambda phase, message: report(PhaseEvent(phase=phase, message=message))


def _max_length(spec: PruningSpec, loaded: Loaded, report: Report) -> int:
    length = min(spec.max_length, loaded.longest)
    if length < spec.max_length:
        report(
            LogEvent(
                level="warning",
                message=f"max_length {spec.max_length} exceeds the {loaded.longest} positions of the model; "
                f"inputs are cut at {length} tokens",
            )
        )
    return length


def _wire(
    spec: PruningSpec,
    task: Task,
    loaded: Loaded,
    label_ids: list[int],
    train: Encoded,
    validation: Encoded,
    max_length: int,
) -> Run:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base_digest = digest(loaded.model)
    matrices = attach(loaded.model)
    head = LabelWordHead(loaded.model, label_ids, loaded.tokenizer.mask_token_id).to(device)
    optimizer = ScoreAdam(list(matrices.layers.values()), max_grad_norm=spec.max_grad_norm, epsilon=spec.adam_epsilon)
    stream = BatchStream(train.lengths, spec.batch_size, spec.seed)
    total_steps = steps_of(spec, stream.per_epoch)
    pruner = Pruner(matrices, method_of(spec), optimizer, Schedule.of(spec, total_steps), _loss_of(head))
    return Run(
        spec=spec, task=task, located=loaded.located, base_digest=base_digest, label_ids=label_ids, head=head,
        matrices=matrices, pruner=pruner, train=train, validation=validation, stream=stream, total_steps=total_steps,
        eval_every=evaluation_cadence(spec, total_steps, len(validation)),
        max_length=max_length, device=device,
    )  # fmt: skip


def _loss_of(head: LabelWordHead) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    def loss_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        return losses.classification(head(**inputs), batch["labels"])

    return loss_of


def steps_of(spec: PruningSpec, batches_per_epoch: int) -> int:
    """Optimizer steps of the whole run. Raises Permanent when the ramp would have no step."""
    if spec.max_steps is not None:
        return spec.max_steps
    steps = max(1, math.floor((spec.epochs or 0) * batches_per_epoch / spec.gradient_accumulation))
    if steps * spec.ramp < 1:
        raise Permanent(
            f"{spec.epochs} epochs are {steps} steps, too few for a ramp of {spec.ramp}; raise epochs or lower batch_size",
            code="schedule_too_short", param="epochs",
        )  # fmt: skip
    return steps


def evaluation_cadence(spec: PruningSpec, total_steps: int, validation_rows: int) -> int | None:
    """Steps between evaluations: as asked, or so that they cost about 5 % of the run (at most 20 of them).

    A training row costs about three times a row that is only evaluated (forward, and two products back).
    """
    if spec.eval_every is not None:
        return spec.eval_every
    trained_rows = total_steps * spec.batch_size * spec.gradient_accumulation
    evaluations = min(20, math.floor(0.05 * 3 * trained_rows / validation_rows))
    return math.ceil(total_steps / (evaluations + 1)) if evaluations > 0 else None


def seed_everything(seed: int) -> None:
    """Every random generator in reach; batch order has its own (:mod:`pruning.data`)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def library_versions() -> dict[str, str]:
    """What has to be the same for a run to be repeated bit by bit."""
    names = ("torch", "transformers", "tokenizers", "numpy", "safetensors")
    return {"espalier": __version__, "python": platform.python_version(), **{name: version(name) for name in names}}
