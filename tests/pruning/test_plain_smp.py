"""The project's step against a plain loop that shares no code with it; the plain loop against the traces of the reference code."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from pruning.masking.methods.smp import SmpL, SmpS
from pruning.masking.schedule import Ramp, Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.wrap import wrap_linears
from pruning.models.heads import LabelWordHead
from pruning.training import losses
from pruning.training.pruner import Pruner
from tests.pruning.plain_smp import PlainSmp

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parents[2].parent / "shared" / "golden"))
WORDS, MASK_TOKEN = (7, 11), 1
STEPS, RAMP, DENSITY = 40, 24, 0.1


def small_bert() -> BertForMaskedLM:
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=24,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,
    )
    return BertForMaskedLM(config).double()


def batches() -> list[tuple[dict[str, Tensor], Tensor]]:
    """Rows whose class is whether token 3 stands in them, half of them padded, some with a mask token."""
    draw = torch.Generator().manual_seed(9)
    found = []
    for _ in range(STEPS):
        ids = torch.randint(4, 60, (8, 16), generator=draw)
        labels = torch.randint(0, 2, (8,), generator=draw)
        ids[labels == 1, 5] = 3
        attention = torch.ones_like(ids)
        attention[::2, 12:] = 0
        ids[::3, 7] = MASK_TOKEN
        found.append(({"input_ids": ids, "attention_mask": attention}, labels))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", [SmpL(), SmpS(temperature=1.0, surplus="drop")], ids=["smp-l", "smp-s"])
def test_every_mask_bit_of_a_run_equals_the_plain_loop(method: SmpL | SmpS) -> None:
    plain = PlainSmp(small_bert().eval(), WORDS, MASK_TOKEN, STEPS, RAMP, DENSITY, allocate=isinstance(method, SmpS))
    model = small_bert()
    matrices = wrap_linears(model)
    head = LabelWordHead(model, WORDS, MASK_TOKEN).train()
    schedule = Schedule(
        total_steps=STEPS,
        remaining_final=DENSITY,
        sparsity_ramp=Ramp(0, RAMP),
        regularization_final=plain.regularization,
        regularization_ramp=Ramp(0, STEPS),
        learning_rate_initial=plain.learning_rate,
    )

    def loss_of(batch: dict[str, Tensor]) -> Tensor:
        return losses.classification(head(batch["input_ids"], batch["attention_mask"]), batch["labels"])

    optimizer = ScoreAdam(list(matrices.layers.values()), max_grad_norm=1.0, epsilon="uncorrected")
    pruner = Pruner(matrices, method, optimizer, schedule, loss_of)
    changed = set()
    for t, (inputs, labels) in enumerate(batches()):
        expected = plain.step(t, inputs, labels)
        assert pruner.step(t, [{**inputs, "labels": labels}]).loss == pytest.approx(expected, rel=1e-9), f"loss of step {t}"
        for name, mask in plain.masks.items():
            layer = matrices.layers[name.removesuffix(".weight")]
            assert torch.equal(layer.mask.bool(), mask.bool()), f"{name}, step {t}"
            assert torch.allclose(layer.scores, plain.scores[name], rtol=1e-6, atol=1e-12), f"{name}, step {t}"
        changed.add(sum(int(mask.sum()) for mask in plain.masks.values()))
    assert len(changed) > RAMP - 3  # the density fell at almost every step of the ramp


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smp_l_0.10", "smp_s_0.10"])
def test_the_plain_loop_equals_the_traces_of_the_reference_code(name: str) -> None:
    if not (GOLDEN / name).is_dir():
        pytest.skip(f"no golden traces under {GOLDEN}; set GOLDEN_DIR")
    trace = json.loads((GOLDEN / name / "trace_f64.json").read_text())
    config, data = trace["config"], np.load(GOLDEN / "common" / "batches.npz")
    model = BertForMaskedLM.from_pretrained(GOLDEN / "common", dtype=torch.float32).double().eval()
    ramp = config["steps"] - config["final_warmup"] * config["threshold_warmup_steps"]
    tokens = json.loads((GOLDEN / "common" / "tokens.json").read_text())
    plain = PlainSmp(
        model,
        tuple(config["label_map"]),
        tokens["mask_token_id"],
        config["steps"],
        ramp,
        config["final_threshold"],
        allocate=config["magnitude_topk_threshold"],
    )
    for t, record in enumerate(trace["steps"][:40]):
        inputs = {key: torch.from_numpy(data[key][t]).long() for key in ("input_ids", "attention_mask", "token_type_ids")}
        labels = torch.from_numpy(data["labels2" if config["task"] == "cls2" else "labels3"][t]).long()
        assert plain.step(t, inputs, labels) == pytest.approx(record["task_loss"], rel=1e-9), f"step {t}"
        assert [int(mask.sum()) for mask in plain.masks.values()] == record["ones"], f"step {t}"
