"""Export formats: the table, and the combinations that it refuses."""

from typing import get_args

import pytest

from pruning.models.checks import MODEL_TYPES
from pruning.spec.export_formats import (
    COMPACT_TYPES,
    FORMATS,
    Format,
    parse_formats,
    unsupported_by_model_type,
    unsupported_by_pattern,
    unsupported_by_pooling,
)
from tests import toy_models


def test_the_table_has_every_format_once() -> None:
    assert tuple(FORMATS) == get_args(Format)
    assert parse_formats(list(FORMATS)) == get_args(Format)
    with pytest.raises(ValueError, match="pickle"):
        parse_formats(["csr", "pickle"])


def test_compaction_is_for_types_that_can_be_pruned_at_all() -> None:
    assert set(COMPACT_TYPES) == {*toy_models.SHAPES, "camembert", "gpt2", "xlm-roberta"}
    assert set(COMPACT_TYPES) < set(MODEL_TYPES)


def test_semi_structured_needs_two_of_four() -> None:
    misfit = unsupported_by_pattern(["csr", "semi-structured"], "unstructured")
    assert misfit is not None
    assert misfit.index == 1
    assert "2:4" in misfit.message
    assert unsupported_by_pattern(["semi-structured"], "2:4") is None


def test_compact_needs_a_type_it_knows() -> None:
    misfit = unsupported_by_model_type(["onnx", "compact"], "albert")
    assert misfit is not None
    assert misfit.index == 1
    assert unsupported_by_model_type(["onnx", "csr"], "albert") is None
    assert unsupported_by_model_type(["compact"], "roberta") is None


def test_no_stock_class_but_one_has_mean_pooling() -> None:
    misfit = unsupported_by_pooling(["onnx", "stock"], "mean", "mpnet")
    assert misfit is not None
    assert misfit.index == 1
    assert unsupported_by_pooling(["stock"], "mean", "modernbert") is None
    for formats, pooling in ((["onnx", "compact"], "mean"), (["stock"], "first"), (["stock"], None)):
        assert unsupported_by_pooling(formats, pooling, "mpnet") is None
