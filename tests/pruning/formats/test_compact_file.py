"""``mask.espalier``: round trips as the format page specifies, and refusal of other files."""

import errno
import re
from pathlib import Path

import numpy as np
import pytest

from pruning.errors import PermanentError
from pruning.formats import compact_file, mask_file
from pruning.formats.codec import frequency_tables
from pruning.formats.mask_file import MaskInfo
from tests.pruning.formats import plain_reader
from tests.pruning.formats.compact_examples import DOCUMENT, example, masks_of, metadata_of, same, written
from tests.pruning.formats.mask_info import info_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path)


# --- round trips


def test_masks_and_everything_about_them_survive(path: Path) -> None:
    masks = masks_of()
    got, info = compact_file.read(path)
    assert same(got, masks)
    assert all(mask.dtype == np.bool_ for mask in got.values())
    assert info == info_of(masks)
    assert compact_file.read_info(path) == info


def test_both_forms_hold_the_same_and_are_distinguished_by_content(path: Path, tmp_path: Path) -> None:
    masks = masks_of()
    plain = tmp_path / "really.espalier"
    mask_file.write(plain, masks, info_of(masks))
    misnamed = path.rename(tmp_path / "mask.safetensors")
    (first, one), (second, other) = compact_file.read_either(plain), compact_file.read_either(misnamed)
    assert same(first, second)
    assert one == other


@pytest.mark.parametrize("content", [b"", b"\x89", b"PK\x03\x04", b"\x89ESPM\n\x1a"])
def test_a_file_of_neither_form_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mask").write_bytes(content)
    for place in (tmp_path / "mask", tmp_path / "missing", tmp_path):
        with pytest.raises(PermanentError) as caught:
            compact_file.read_either(place)
        assert caught.value.code == "mask_invalid"


def test_metrics_that_are_no_numbers_survive(tmp_path: Path) -> None:
    masks = masks_of()
    compact_file.write(tmp_path / "m", masks, info_of(masks, metrics={"a": float("nan"), "b": float("inf")}))
    metrics = compact_file.read_info(tmp_path / "m").metrics
    assert np.isnan(metrics["a"])
    assert metrics["b"] == float("inf")


def test_a_mask_that_is_not_contiguous_survives(tmp_path: Path) -> None:
    masks = {name: mask.T for name, mask in masks_of().items()}
    compact_file.write(tmp_path / "m", masks, info_of(masks))
    assert same(compact_file.read(tmp_path / "m")[0], masks)


def test_a_write_that_fails_leaves_what_was_there_and_no_litter(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compact_file, "_write_stream", full)
    masks = masks_of()
    with pytest.raises(OSError, match=f"Errno {errno.ENOSPC}"):
        compact_file.write(path, masks, info_of(masks))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o644


# --- the document


def test_a_reader_written_from_the_document_alone_reads_the_same(path: Path) -> None:
    masks, about = plain_reader.read(path.read_bytes())
    assert same({name: np.array(mask, bool) for name, mask in masks.items()}, masks_of())
    assert about == metadata_of()


def test_the_example_of_the_document_is_the_mask_it_draws(tmp_path: Path) -> None:
    (tmp_path / "mask.espalier").write_bytes(example())
    masks, info = compact_file.read(tmp_path / "mask.espalier")
    drawn = re.findall(r"```text\n(a  .*?)```", DOCUMENT.read_text(), re.DOTALL)[0].splitlines()
    columns = {"a": slice(3, 8), "b": slice(13, 25), "c": slice(30, 33)}
    for name, place in columns.items():
        rows = [line[place].strip() for line in drawn if line[place].strip()]
        assert [[int(bit) for bit in row] for row in rows] == masks[name].astype(int).tolist()
    assert info.base_model == "toy"
    plain = plain_reader.read(example())[0]
    assert same({name: np.array(mask, bool) for name, mask in plain.items()}, masks)


def test_the_document_lists_the_levels_and_limits_of_the_code() -> None:
    text = DOCUMENT.read_text()
    listed = re.findall(r"```text\n(762 .*?)```", text, re.DOTALL)[0].split()
    assert [int(number) for number in listed] == [frequency_tables.probability(level) for level in range(41)] == plain_reader.ONES
    limits = (compact_file.MAX_METADATA, compact_file.MAX_MATRICES, compact_file.MAX_LINES, compact_file.MAX_WEIGHTS)
    assert all(f"{limit:,}" in text for limit in limits)
    assert all(f"`{name}`" in text for name in MaskInfo.model_fields)
    assert compact_file.MEDIA_TYPE in text


# --- what is refused
