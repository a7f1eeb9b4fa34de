"""Check of an uploaded mask in its child process: limits, and faults as refusals."""

from pathlib import Path

import numpy as np
import pytest

from api.uploads.confined import ParseLimits
from api.uploads.mask_check import check_mask
from pruning.errors import PermanentError
from pruning.formats import compact_file
from tests.pruning.formats.mask_info import info_of
from tests.pruning.formats.test_mask_file import written


def test_a_mask_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    masks = {"a": np.zeros((30_000, 10_000), np.bool_)}
    path = tmp_path / "mask.espalier"
    compact_file.write(path, masks, info_of(masks))
    assert path.stat().st_size < 100_000, "it is small as a file"
    with path.open("rb") as file, pytest.raises(PermanentError) as refused:
        check_mask(file, ParseLimits(memory_bytes=200 * 1024**2))
    assert (refused.value.code, refused.value.param) == ("mask_invalid", "file")


def test_long_texts_of_its_metadata_are_cut(tmp_path: Path) -> None:
    with written(tmp_path, base_model="x" * 10_000).open("rb") as file:
        assert len(check_mask(file, ParseLimits()).base_model) == 200
