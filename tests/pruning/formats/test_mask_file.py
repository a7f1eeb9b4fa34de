"""The mask file: exact bytes, a round trip of any shape, and a reader that takes nothing else for a mask."""

import contextlib
import errno
import json
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pruning.errors import PermanentError
from pruning.formats import mask_file
from pruning.formats.mask_file import Masks
from pruning.spec.schema import PruningSpec
from tests.pruning.formats.mask_info import info_of

SHAPES = {"a.0.query": (511, 350), "a.0.key": (1, 1), "a.1.query": (3, 5), "a.1.key": (4, 16), "b.0": (1, 7)}


def masks_of(shapes: dict[str, tuple[int, int]] = SHAPES) -> Masks:
    random = np.random.default_rng(0)
    return {name: random.random(shape) < 0.3 for name, shape in shapes.items()}


def written(folder: Path, masks: Masks | None = None, **changed: Any) -> Path:
    masks = masks_of() if masks is None else masks
    path = folder / "mask.safetensors"
    mask_file.write(path, masks, info_of(masks, **changed))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(PermanentError) as caught:
        mask_file.read(path)
    assert caught.value.code == "mask_invalid"
    return caught.value.message


def rewritten(path: Path, *, tensors: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None) -> Path:
    """The same file with some tensors or metadata replaced; None removes."""
    stored = {**load_file(path), **(tensors or {})}
    with safe_open(path, framework="np") as file:
        about = {**file.metadata(), **(metadata or {})}
    save_file(
        {name: tensor for name, tensor in stored.items() if tensor is not None},
        path,
        metadata={key: value for key, value in about.items() if value is not None},
    )
    return path


def test_masks_of_any_shape_and_everything_about_them_survive(tmp_path: Path) -> None:
    masks = masks_of()
    got, info = mask_file.read(written(tmp_path))
    assert got.keys() == masks.keys()
    for name, mask in masks.items():
        assert got[name].dtype == np.bool_
        assert np.array_equal(got[name], mask)
    assert info == info_of(masks)
    assert mask_file.read_info(tmp_path / "mask.safetensors") == info


@pytest.mark.parametrize("revision", [None, "c" * 40, "main", "123", "true"])
def test_any_revision_survives(tmp_path: Path, revision: str | None) -> None:
    assert mask_file.read_info(written(tmp_path, base_revision=revision)).base_revision == revision


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_random_masks_survive(tmp_path: Path, shape: tuple[int, int], seed: int, share: float) -> None:
    masks = {"m": np.random.default_rng(seed).random(shape) < share}
    assert np.array_equal(mask_file.read(written(tmp_path, masks))[0]["m"], masks["m"])


def test_bits_are_packed_most_significant_first_over_the_rows_with_zeros_at_the_end(tmp_path: Path) -> None:
    mask = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0, 1]], dtype=bool)
    stored = load_file(written(tmp_path, {"m": mask}))["m"]
    assert stored.dtype == np.uint8
    assert stored.tolist() == [0b10110001, 0b00110010]
    assert np.array_equal(stored, np.packbits(mask.reshape(-1)))


def test_a_mask_that_is_not_contiguous_is_packed_row_by_row(tmp_path: Path) -> None:
    mask = masks_of()["a.1.query"].T
    assert np.array_equal(mask_file.read(written(tmp_path, {"m": mask}))[0]["m"], mask)


def test_plain_safetensors_reads_one_byte_tensor_per_matrix_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path)
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == set(SHAPES)
        for name, (rows, columns) in SHAPES.items():
            assert file.get_slice(name).get_dtype() == "U8"
            assert file.get_slice(name).get_shape() == [-(-rows * columns // 8)]
        about = file.metadata()
    assert about["format"] == "espalier-mask"
    assert json.loads(about["shapes"]) == {name: list(shape) for name, shape in SHAPES.items()}
    assert about["base_model"] == "org/base"


def test_density_is_the_share_of_all_weights(tmp_path: Path) -> None:
    masks = {"a": np.ones((2, 2), bool), "b": np.zeros((3, 4), bool)}
    assert info_of(masks).density == 0.25


def test_everyone_may_read_the_file(tmp_path: Path) -> None:
    assert written(tmp_path).stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_what_was_there_and_no_litter(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as on a disk with 100 bytes left
    try:
        with pytest.raises(OSError, match=f"Errno {errno.EFBIG}"):
            written(tmp_path, {"m": np.ones((2, 2), bool)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in tmp_path.iterdir()] == ["mask.safetensors"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 3, 8, 100, -1, -20])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    refusal(path)


def test_a_file_with_more_behind_it_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0")
    refusal(path)


def test_a_header_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(struct.pack("<Q", 2**40) + path.read_bytes()[8:])
    refusal(path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"{}", bytes(64)])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mask.safetensors").write_bytes(content)
    refusal(tmp_path / "mask.safetensors")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "mask.safetensors")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_that_are_no_mask_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"w": np.zeros((2, 2), np.float32)}, tmp_path / "model.safetensors", metadata=metadata)
    refusal(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "tensors",
    [
        {"a.0.key": None},
        {"extra": np.zeros(3, np.uint8)},
        {"extra": np.zeros(3, np.float32)},
        {"a.1.query": np.zeros(3, np.uint8)},
        {"a.1.query": np.zeros((1, 2), np.uint8)},
        {"a.1.query": np.zeros(2, np.int8)},
    ],
    ids=["missing", "more", "foreign", "oversized", "another shape", "another type"],
)
def test_tensors_that_do_not_fit_the_metadata_are_refused(tmp_path: Path, tensors: dict[str, Any]) -> None:
    refusal(rewritten(written(tmp_path), tensors=tensors))


def test_a_wrong_count_of_ones_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    kept = info_of(masks_of()).kept
    refusal(rewritten(path, metadata={"kept": json.dumps({**kept, "b.0": kept["b.0"] + 1})}))


def test_padding_bits_that_are_set_are_refused_even_where_the_count_fits(tmp_path: Path) -> None:
    mask = np.array([[True, False, False]])
    path = written(tmp_path, {"m": mask})
    refusal(rewritten(path, tensors={"m": np.array([0b00000001], np.uint8)}))


@pytest.mark.parametrize(
    "metadata",
    [
        {"version": "2"},
        {"spec": None},
        {"shapes": "3"},
        {"shapes": "{"},
        {"base_digest": "abc"},
        {"kind": "poem"},
        {"unheard": "1"},
        {"metrics": '{"accuracy": "high"}'},
        {"label_ids": "[1.5, 2]"},
        {"spec": '{"model": "m", "task": "nonsense"}'},
        {"kept": "[" * 100_000},
        {"shapes": '{"m": [-1, -3]}'},
        {"shapes": '{"m": [0, 3]}'},
        {"shapes": '{"m": [1]}'},
        {"shapes": "null"},
    ],
    ids=lambda value: str(value)[:30],
)
def test_metadata_that_cannot_be_right_is_refused(tmp_path: Path, metadata: dict[str, Any]) -> None:
    refusal(rewritten(written(tmp_path, {"m": np.ones((1, 3), bool)}), metadata=metadata))


def test_a_flipped_bit_is_refused_in_the_masks_and_never_crashes_the_reader_anywhere(tmp_path: Path) -> None:
    masks = masks_of({"m": (9, 7), "n": (4, 4)})
    path = written(tmp_path, masks)
    whole = path.read_bytes()
    body = 8 + struct.unpack("<Q", whole[:8])[0]
    for position in [*range(0, body, 7), *range(body, len(whole))]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        if position >= body:
            refusal(path)
            continue
        with contextlib.suppress(PermanentError):  # or it was a letter of a name, or a digit of a metric: the masks are whole
            got = mask_file.read(path)[0]
            assert sum(int(mask.sum()) for mask in got.values()) == sum(int(mask.sum()) for mask in masks.values())


def test_equal_masks_are_equal_files(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        written(folder)
    first, second = ((folder / "mask.safetensors").read_bytes() for folder in folders)
    assert first == second


def test_classes_with_several_words_and_words_in_pieces_are_read_back(tmp_path: Path) -> None:
    words, ids = ("terrible", ("great", "good")), (((7, 8),), (9, (10, 11, 10)))
    spec = PruningSpec(model="org/base", task="sst2", label_words=words, label_word_pieces="mean")
    path = written(tmp_path, label_words=words, label_ids=ids, spec=spec)
    info = mask_file.read_info(path)
    assert (info.label_words, info.label_ids, info.spec) == (words, ids, spec)
    assert (info.classes, info.class_names) == (2, ("negative", "positive"))
    with safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["label_ids"]) == [[[7, 8]], [9, [10, 11, 10]]]
    for damaged in ("[[], 2]", "[[[7]], 2]", "[[[]], 2]", '[["a"], 2]', "[[[[7, 8]]], 2]"):
        refusal(rewritten(path, metadata={"label_ids": damaged}))


def test_what_a_spec_says_of_pieces_is_in_the_file_only_where_it_says_it(tmp_path: Path) -> None:
    """A file of a job without the field is the one that it was before there was such a field."""
    with safe_open(written(tmp_path), framework="np") as file:
        assert "label_word_pieces" not in json.loads(file.metadata()["spec"])
    assert mask_file.read_info(tmp_path / "mask.safetensors").spec.label_word_pieces == "refuse"
