"""The reference's ``.npy`` masks, against files that its own code wrote."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pruning.errors import PermanentError
from pruning.formats import npy_masks
from pruning.formats.mask_file import Masks

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parents[3].parent / "shared" / "golden")) / "npy"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no mask files of the reference under {GOLDEN}; set GOLDEN_DIR")
SHAPES = {"l.2.a": (3, 5), "l.10.a": (7, 3), "l.10.b": (1, 1)}


def bert_shapes(layers: int, hidden: int, intermediate: int, prefix: str = "bert") -> dict[str, tuple[int, int]]:
    """Module path → (out, in) of the matrices that the reference masks in a BERT of these sizes."""
    within = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (intermediate, hidden),
        "output.dense": (hidden, intermediate),
    }
    return {f"{prefix}.encoder.layer.{i}.{name}": shape for i in range(layers) for name, shape in within.items()}


def masks_of() -> Masks:
    random = np.random.default_rng(0)
    return {name: random.random(shape) < 0.4 for name, shape in SHAPES.items()}


def refusal(path: Path) -> str:
    with pytest.raises(PermanentError) as caught:
        npy_masks.read(path, SHAPES)
    assert caught.value.code == "mask_invalid"
    return caught.value.message


@golden
@pytest.mark.parametrize("name", ["mnli_0.10", "mnli_0.10_mag"])
def test_files_of_the_reference_have_the_counts_it_says_and_are_written_the_same(name: str, tmp_path: Path) -> None:
    shapes = bert_shapes(layers=12, hidden=64, intermediate=128)
    masks = npy_masks.read(GOLDEN / f"{name}.npy", shapes)
    counts = json.loads((GOLDEN / "counts.json").read_text())[name]
    assert {f"{matrix}.weight": int(mask.sum()) for matrix, mask in masks.items()} == counts
    assert {matrix: mask.shape for matrix, mask in masks.items()} == shapes
    npy_masks.write(tmp_path / "again.npy", masks)
    assert (tmp_path / "again.npy").read_bytes() == (GOLDEN / f"{name}.npy").read_bytes()


@golden
def test_a_mask_of_the_reference_has_the_ones_of_its_scores() -> None:
    """The first layer's query matrix, made again from the README."""
    random = np.random.RandomState(99)
    offset = 0.5 * random.standard_normal()
    scores = (offset + 0.3 * random.standard_normal((64, 64))).astype(np.float32)
    masks = npy_masks.read(GOLDEN / "mnli_0.10.npy", bert_shapes(12, 64, 128))
    kept = masks["bert.encoder.layer.0.attention.self.query"]
    assert scores[kept].min() > scores[~kept].max()


def test_a_bert_base_mask_is_as_large_as_the_reference_says() -> None:
    shapes = bert_shapes(12, 768, 3072)
    assert sum(rows * columns for rows, columns in shapes.values()) == 84_934_656
    assert next(iter(shapes)) == "bert.encoder.layer.0.attention.self.query"


def test_matrices_follow_each_other_in_the_order_of_their_names_without_gaps(tmp_path: Path) -> None:
    masks = masks_of()
    npy_masks.write(tmp_path / "m.npy", masks)
    bits = np.unpackbits(np.load(tmp_path / "m.npy"))
    expected = np.concatenate([masks[name].reshape(-1) for name in ("l.10.a", "l.10.b", "l.2.a")])
    assert bits[:37].astype(bool).tolist() == expected.tolist()
    assert len(bits) == 40
    got = npy_masks.read(tmp_path / "m.npy", SHAPES)
    assert all(np.array_equal(got[name], masks[name]) for name in SHAPES)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=12), seed=st.integers(0, 9))
def test_masks_of_any_shape_survive(tmp_path: Path, shapes: list[tuple[int, int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = {f"layer.{i}": random.random(shape) < 0.5 for i, shape in enumerate(shapes)}
    npy_masks.write(tmp_path / "m.npy", masks)
    got = npy_masks.read(tmp_path / "m.npy", {name: (mask.shape[0], mask.shape[1]) for name, mask in masks.items()})
    assert got.keys() == masks.keys()
    assert all(np.array_equal(got[name], mask) for name, mask in masks.items())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(4, np.uint8),
        np.zeros(6, np.uint8),
        np.zeros(0, np.uint8),
        np.zeros(5, np.int8),
        np.zeros(5, np.float32),
        np.zeros((1, 5), np.uint8),
        np.zeros(5, np.dtype([("a", "u1")])),
        np.full(5, 255, np.uint8),
    ],
    ids=["short", "long", "empty", "signed", "floats", "two dimensions", "records", "ones behind the last"],
)
def test_arrays_that_are_not_the_masks_of_the_model_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "m.npy", array)
    refusal(tmp_path / "m.npy")


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([print] * 5, dtype=object), allow_pickle=True)
    refusal(tmp_path / "m.npy")


def test_a_header_that_claims_another_length_than_the_file_has_is_refused(tmp_path: Path) -> None:
    npy_masks.write(tmp_path / "m.npy", masks_of())
    content = (tmp_path / "m.npy").read_bytes()
    for changed in (content[:-1], content + b"\0", content[:60], content[:9], content.replace(b"(5,)", b"(6,)")):
        (tmp_path / "m.npy").write_bytes(changed)
        refusal(tmp_path / "m.npy")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), magic=st.booleans())
def test_any_other_bytes_are_refused(tmp_path: Path, content: bytes, magic: bool) -> None:
    (tmp_path / "m.npy").write_bytes(b"\x93NUMPY\x01\x00" * magic + content)
    refusal(tmp_path / "m.npy")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "m.npy")
    refusal(tmp_path)
