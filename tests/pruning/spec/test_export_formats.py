"""The table of formats, and what it says no to."""

from typing import get_args

import pytest

from pruning.models.checks import MODEL_TYPES
from pruning.spec.export_formats import COMPACT_TYPES, FORMATS, Format, misfit_of_pattern, misfit_of_type, named
from tests import toy_models


def test_the_table_has_every_format_once() -> None:
    assert tuple(FORMATS) == get_args(Format)
    assert named(list(FORMATS)) == get_args(Format)
    with pytest.raises(ValueError, match="'pickle' is none of compact"):
        named(["csr", "pickle"])


def test_compaction_is_for_types_that_can_be_pruned_at_all() -> None:
    assert set(COMPACT_TYPES) == set(toy_models.SHAPES)
    assert set(COMPACT_TYPES) < set(MODEL_TYPES)


def test_semi_structured_needs_two_of_four() -> None:
    misfit = misfit_of_pattern(["csr", "semi-structured"], "unstructured")
    assert misfit is not None
    assert misfit.place == 1
    assert "choose pattern '2:4'" in misfit.message
    assert misfit_of_pattern(["semi-structured"], "2:4") is None


def test_compact_needs_a_type_it_knows() -> None:
    misfit = misfit_of_type(["onnx", "compact"], "albert")
    assert misfit is not None
    assert misfit.place == 1
    assert misfit_of_type(["onnx", "csr"], "albert") is None
    assert misfit_of_type(["compact"], "roberta") is None
