"""Parity with the reference code: every case under ``GOLDEN_DIR``, number by number, through the project's own step.

Settings come from each trace's ``config`` alone, so a case dropped into the folder runs without a change here. The
folder's README defines every file and formula.
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from transformers import BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification

from pruning.masking.methods.smp import SmpL, SmpS
from pruning.masking.schedule import Ramp, Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.wrap import Matrices, wrap_linears
from pruning.models.heads import LabelWordHead
from pruning.training import losses
from pruning.training.pruner import Pruner
from pruning.training.step import StepResult

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parents[2].parent / "shared" / "golden"))
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/trace.json"))
SINGLE_STEPS = sorted(path.parent.name for path in GOLDEN.glob("*/one_step.json"))
if not CASES:
    pytest.skip(f"no golden traces under {GOLDEN}; set GOLDEN_DIR", allow_module_level=True)

Batch = dict[str, torch.Tensor]
LABELS = {"cls2": ("labels2",), "cls3": ("labels3",), "reg": ("labels_reg",), "qa": ("start_positions", "end_positions")}


def schedule_of(config: dict[str, Any]) -> Schedule:
    """The reference's two schedule modes as ramps (README, "Keep ratio" and "Regulariser weight")."""
    total = config["steps"]
    shape: Literal["linear", "cubic"] = "linear" if config["linear_threshold"] else "cubic"
    if config["warmup_threshold_step"] is None:
        begin = config["initial_warmup"] * config["threshold_warmup_steps"]
        length = total - (config["final_warmup"] + config["initial_warmup"]) * config["threshold_warmup_steps"]
        sparsity = Ramp(begin, length, shape)
    else:
        sparsity = Ramp(0, config["warmup_threshold_step"], shape, every=config["threshold_hold_step"] + 1)
    warm = config["lambda_warmup_steps"]
    own = Ramp(config["initial_warmup"] * warm, total - (config["final_warmup"] + config["initial_warmup"]) * warm)
    if config["warmup_threshold_step"] is not None and config["warmup_regu_step"] is not None:
        own = Ramp(0, config["warmup_regu_step"], shape, every=config["threshold_hold_step"] + 1)
    return Schedule(
        total_steps=total,
        remaining_final=config["final_threshold"],
        sparsity_ramp=sparsity,
        regularization_final=config["final_lambda"],
        regularization_ramp=own,
        learning_rate_initial=config["mask_scores_learning_rate"],
        remaining_initial=config["initial_threshold"],
    )


class Case:
    """One traced configuration, rebuilt from its config."""

    def __init__(self, name: str, trace: dict[str, Any], dtype: torch.dtype) -> None:
        self.folder, self.trace, self.config, self.dtype = GOLDEN / name, trace, trace["config"], dtype
        self.data = np.load(GOLDEN / "common" / "batches.npz")
        tokens = json.loads((GOLDEN / "common" / "tokens.json").read_text())
        self.qa = self.config["task"] == "qa"
        model: torch.nn.Module = BertForMaskedLM.from_pretrained(GOLDEN / "common", dtype=torch.float32)
        model.to(dtype)
        self.matrices = wrap_linears(model)
        self.head = LabelWordHead(model, self.config["label_map"], tokens["mask_token_id"], "every" if self.qa else "first").train()
        self.teacher = self._teacher()
        method = (
            SmpS(temperature=self.config["magnitude_topk_threshold_p"], surplus="drop")
            if self.config["magnitude_topk_threshold"]
            else SmpL()
        )
        layers = list(self.matrices.layers.values())
        optimizer = ScoreAdam(layers, max_grad_norm=self.config["max_grad_norm"], epsilon="uncorrected")
        self.pruner = Pruner(self.matrices, method, optimizer, schedule_of(self.config), self.loss_of)
        self.student_losses: list[float] = []
        self.teacher_losses: list[float] = []

    def _teacher(self) -> torch.nn.Module | None:
        if self.config["teacher"] is None:
            return None
        kind = BertForQuestionAnswering if self.qa else BertForSequenceClassification
        teacher: torch.nn.Module = kind.from_pretrained(GOLDEN / "common" / f"teacher_{self.config['teacher']}")
        return teacher.to(self.dtype).eval()

    def batch(self, index: int) -> Batch:
        names = ("input_ids", "attention_mask", "token_type_ids", *LABELS[self.config["task"]])
        batch = {name: torch.from_numpy(self.data[name][index]) for name in names}
        return {name: value if "mask" not in name else value.long() for name, value in batch.items()}

    def loss_of(self, batch: Batch) -> torch.Tensor:
        inputs = {name: batch[name].long() for name in ("input_ids", "attention_mask", "token_type_ids")}
        targets = [batch[name] for name in LABELS[self.config["task"]]]
        logits = self.head(**inputs)
        if self.qa:
            loss = losses.span(logits, targets[0].long(), targets[1].long())
        else:
            labels = targets[0] if self.config["task"] == "reg" else targets[0].long()
            loss = losses.classification(logits, labels.to(self.dtype) if self.config["task"] == "reg" else labels)
        self.student_losses.append(float(loss.detach()))
        if self.teacher is None:
            return loss
        distilled = self._distilled(inputs, logits)
        self.teacher_losses.append(float(distilled.detach()))
        return self.config["alpha_distil"] * distilled + self.config["alpha_ce"] * loss

    def _distilled(self, inputs: Batch, logits: torch.Tensor) -> torch.Tensor:
        assert self.teacher is not None
        with torch.no_grad():
            output = self.teacher(**inputs)
        tau = self.config["temperature"]
        if not self.qa:
            return losses.distillation(logits, output.logits, tau)
        pairs = zip(logits.unbind(-1), (output.start_logits, output.end_logits), strict=True)
        return torch.stack([losses.distillation(student, teacher, tau) for student, teacher in pairs]).sum() / 2

    def micro_batches(self, step: int) -> list[Batch]:
        count = self.config["gradient_accumulation_steps"]
        return [self.batch((count * step + i) % self.config["steps"]) for i in range(count)]

    def run_step(self, step: int) -> tuple[StepResult, list[float], list[float]]:
        self.student_losses.clear()
        self.teacher_losses.clear()
        result = self.pruner.step(step, self.micro_batches(step))
        return result, list(self.student_losses), list(self.teacher_losses)


def close(got: float, expected: float, what: str, relative: float = 1e-9) -> None:
    assert got == pytest.approx(expected, rel=relative, abs=1e-13), what


def micro_records(steps: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    grouped: dict[int, list[dict[str, Any]]] = {}
    for record in steps:
        grouped.setdefault(record["step"], []).append(record)
    return grouped


def bits(masks: Path, name: str, matrices: Matrices) -> dict[str, np.ndarray]:
    packed = np.load(masks)
    return {
        path: np.unpackbits(packed[f"{path}.weight"])[: layer.base.numel()].astype(bool) for path, layer in matrices.layers.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_sixty_float64_steps_equal_the_reference(name: str) -> None:
    trace = json.loads((GOLDEN / name / "trace_f64.json").read_text())
    case = Case(name, trace, torch.float64)
    assert [f"{path}.weight" for path in case.matrices.layers] == trace["matrices"]
    for t, records in micro_records(trace["steps"]).items():
        result, student, teacher = case.run_step(t)
        last = records[-1]
        for record, got in zip(records, student, strict=True):
            close(got, record["ce_loss"], f"student loss, step {t}")
        for record, got in zip(records if teacher else [], teacher, strict=True):
            close(got, record["kd_loss"], f"distillation loss, step {t}")
        close(result.loss, np.mean([r["task_loss"] for r in records]), f"task loss, step {t}")
        close(result.remaining, last["v"], f"remaining, step {t}")
        close(result.regularization, last["lam"], f"lambda, step {t}")
        close(result.learning_rate, last["lr"], f"learning rate, step {t}")
        close(result.update.regularizer, last["reg"], f"regulariser, step {t}")
        assert result.kept == last["ones"], f"kept weights, step {t}"
        if "grad_norm" in last:
            close(result.update.grad_norm, last["grad_norm"], f"gradient norm, step {t}")
            for got, expected in zip(result.update.grad_norms, last["grad_norms"], strict=True):
                close(got, expected, f"gradient norms, step {t}", relative=1e-8)  # written with 9 digits
    final = trace["final"]
    assert case.pruner.select(final["eval_v"]) == final["ones"]
    with torch.no_grad():
        batch = case.batch(60)
        inputs = {key: batch[key].long() for key in ("input_ids", "attention_mask", "token_type_ids")}
        logits = case.head.eval()(**inputs)
    if not case.qa:
        np.testing.assert_allclose(logits.numpy().squeeze(), np.squeeze(final["eval_logits"]), rtol=1e-9, atol=1e-12)
    for path, expected in bits(case.folder / "masks_f64.npz", name, case.matrices).items():
        mask = case.matrices.layers[path].mask.numpy().reshape(-1)
        assert int((mask != expected).sum()) == 0, f"mask bits of {path}"


@pytest.mark.parametrize("name", SINGLE_STEPS)
@pytest.mark.parametrize(("suffix", "dtype", "relative"), [("", torch.float32, 1e-5), ("_f64", torch.float64, 1e-9)])
def test_a_single_step_from_a_given_state(name: str, suffix: str, dtype: torch.dtype, relative: float) -> None:
    trace = json.loads((GOLDEN / name / f"trace{suffix}.json").read_text())
    expected = json.loads((GOLDEN / name / f"one_step{suffix}.json").read_text())
    case = Case(name, trace, dtype)
    state = np.random.RandomState(4242)
    optimizer = case.pruner.optimizer
    for i, layer in enumerate(case.matrices.layers.values()):
        offset = 0.5 * state.standard_normal()
        scores = offset + 0.05 * state.standard_normal(layer.base.shape)
        first = 1e-3 * state.standard_normal(layer.base.shape)
        second = (1e-3 * state.standard_normal(layer.base.shape)) ** 2 + 1e-8
        for target, value in ((layer.scores, scores), (optimizer.first[i], first), (optimizer.second[i], second)):
            target.copy_(torch.from_numpy(value.astype(np.float32)))
    optimizer.steps = 20
    result, _, _ = case.run_step(20)
    record = expected["record"]
    close(result.loss, record["task_loss"], "task loss", relative)
    close(result.update.regularizer, record["reg"], "regulariser", relative)
    close(result.update.grad_norm, expected["clip_total_norm"], "total gradient norm", relative)
    assert result.kept == record["ones"]
    for path, layer in case.matrices.layers.items():
        after = expected["scores_after"][path]
        np.testing.assert_allclose(layer.scores.view(-1)[:8].numpy(), after["first8"], rtol=relative)
        close(float(layer.scores.mean()), after["mean"], f"mean score of {path}", relative)
    for path, mask in bits(case.folder / "one_step_masks.npz", name, case.matrices).items():
        assert int((case.matrices.layers[path].mask.numpy().reshape(-1) != mask).sum()) == 0
