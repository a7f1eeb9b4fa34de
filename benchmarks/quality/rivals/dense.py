"""Full fine-tuning of the dense model: a plain AdamW loop over the stock sequence classifier; LoRA shares the loop.

Linear warm-up, linear decay to 0, gradients clipped at norm 1, the checkpoint's own dropout unless a setting replaces it; no weight
decay, as in transformers' trainer by default.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.quality.cell import Cell
from benchmarks.quality.outcome import Moment, Notify, Outcome, Point, rows_until
from benchmarks.quality.rivals.inputs import DenseInputs, load
from pruning.models import autocast
from pruning.sources import Sources
from pruning.training import losses

Adapt = Callable[[DenseInputs, dict[str, Any]], nn.Module]
"""Makes the model that is trained, with ``requires_grad`` of what is trained, from the loaded one and the settings."""


def every_weight(dense: DenseInputs, settings: dict[str, Any]) -> nn.Module:
    """The model as it is: everything is trained."""
    model: nn.Module = dense.inputs.loaded.model
    return model.requires_grad_()


def run(cell: Cell, sources: Sources, evaluations: int, notify: Notify, adapt: Adapt = every_weight) -> Outcome:
    """Train, evaluated about ``evaluations`` times in all. Raises PermanentError, TemporaryError, ValueError on divergence."""
    began = time.perf_counter()
    dense = load(cell, sources)
    model = adapt(dense, cell.settings)
    head = dense.head(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=cell.settings["weight_decay"])
    every, training = max(1, -(-cell.steps // evaluations)), Moment(0.0, 0.0)
    curve: list[Point] = []
    metrics: dict[str, float] = {}
    constant = False
    primary = dense.task.metrics[0]
    head.train()
    for t in range(cell.steps):
        start = Moment.now()
        loss = _step(cell, dense, head, optimizer, trained, t)
        training += Moment.now() - start
        done = t + 1
        if done % every == 0 or done == cell.steps:
            metrics, constant = dense.evaluate(head)
            curve.append((done, round(training.wall, 3), rows_until(dense.stream, done), metrics[primary], round(training.cpu, 3)))
            left = training.wall / done * (cell.steps - done)
            notify(f"step {done}/{cell.steps} loss {loss:.3f} {primary} {metrics[primary]:.4f} left {left:.0f} s")
    count = sum(parameter.numel() for parameter in trained)
    return Outcome(
        primary_metric=primary,
        metrics=metrics,
        curve=curve,
        seconds_training=round(training.wall, 3),
        cpu_seconds_training=round(training.cpu, 3),
        seconds_total=round(time.perf_counter() - began, 3),
        sparsity=None,
        one_class=constant,
        artifact_bytes=sum(parameter.numel() * parameter.element_size() for parameter in trained),
        extra_parameters=count,
        evaluate=lambda held_out: dense.evaluate_on(head, held_out),
    )


def _step(
    cell: Cell, dense: DenseInputs, head: nn.Module, optimizer: torch.optim.Optimizer, trained: list[nn.Parameter], t: int
) -> float:
    settings = cell.settings
    for group in optimizer.param_groups:
        group["lr"] = settings["learning_rate"] * rate_share(t, cell.steps, settings["warmup"])
    batch = dense.inputs.train.batch(dense.stream.rows(t), dense.device)
    labels = batch.pop("labels")
    with autocast.for_precision(settings["precision"], dense.device):
        logits = head(**batch)
    loss = losses.classification(logits.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(trained, settings["max_grad_norm"], error_if_nonfinite=True)
    optimizer.step()
    return float(loss.detach())


def rate_share(t: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate in step ``t`` from 0: linear from 0 to 1 over ``warmup`` of the steps, then linear to 0."""
    warm = int(warmup * steps)
    return (t + 1) / warm if t < warm else (steps - t) / max(1, steps - warm)
