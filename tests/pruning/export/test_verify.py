"""Predictions and logits of two models, compared row by row."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.export.verify import ROWS, compare, comparison_rows, random_rows
from pruning.inference.pruned_model import PrunedModel
from pruning.sources import Sources
from tests import toy_datasets
from tests.pruning.export.factories import subject_of


class Shifted(nn.Module):
    """Another model's logits, with something added."""

    def __init__(self, head: nn.Module, by: tuple[float, ...]) -> None:
        super().__init__()
        self.inner, self.by = head, torch.tensor(by)

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(**inputs)
        return logits + self.by


@pytest.fixture(scope="module")
def pruned(models: Path, masks: Path) -> PrunedModel:
    return subject_of(masks / "bert.safetensors", models / "bert").pruned


def shifted(pruned: PrunedModel, *by: float) -> PrunedModel:
    return PrunedModel(Shifted(pruned.head, by), pruned.tokenizer, pruned.info)


def test_a_shift_of_both_logits_changes_no_prediction_and_is_reported(pruned: PrunedModel) -> None:
    rows = comparison_rows(pruned, Sources(hub=False))
    same = compare(pruned, pruned, rows)
    assert (same.equal, same.max_difference, same.exact) == (1.0, 0.0, True)
    moved = compare(pruned, shifted(pruned, 0.5, 0.5), rows)
    assert moved.equal == 1.0
    assert moved.max_difference == pytest.approx(0.5, abs=1e-5)
    assert not moved.exact


def test_the_share_of_equal_predictions_is_counted(pruned: PrunedModel) -> None:
    rows = comparison_rows(pruned, Sources(hub=False))
    margins = np.diff(np.stack([pruned.head(**_one(rows.encoded, i)).detach().numpy()[0] for i in range(ROWS)]))[:, 0]
    by = float(np.median(margins))  # so that about half of the rows change sides
    after = compare(pruned, shifted(pruned, by, 0.0), rows)
    assert after.equal == pytest.approx(((margins > 0) == (margins > by)).mean(), abs=1 / ROWS)


def _one(encoded: object, row: int) -> dict[str, torch.Tensor]:
    batch: dict[str, torch.Tensor] = encoded.batch([row], torch.device("cpu"))  # type: ignore[attr-defined]
    del batch["labels"]
    return batch


def test_no_numbers_are_refused(pruned: PrunedModel) -> None:
    with pytest.raises(PermanentError) as refusal:
        compare(pruned, shifted(pruned, float("nan"), 0.0), comparison_rows(pruned, Sources(hub=False)))
    assert refusal.value.code == "export_wrong"


def test_rows_of_the_task_are_used_where_they_are_available(pruned: PrunedModel, tmp_path: Path) -> None:
    toy_datasets.make_opinions(tmp_path / "sst2")
    found = comparison_rows(pruned, Sources(datasets_dir=tmp_path, hub=False))
    assert (found.source, len(found.encoded)) == ("validation", ROWS)
    assert comparison_rows(pruned, Sources(hub=False)).source == "random"


def test_random_rows_are_ordinary_tokens_between_the_marks(pruned: PrunedModel) -> None:
    encoded = random_rows(pruned, [5, 9])
    special = set(pruned.tokenizer.all_special_ids)
    for ids, length in zip(encoded.input_ids, (5, 9), strict=True):
        assert len(ids) == length
        assert (ids[0], ids[-1]) == (pruned.tokenizer.cls_token_id, pruned.tokenizer.sep_token_id)
        assert not special & set(ids[1:-1])
