"""Compact files that are damaged, foreign or hostile: a clear refusal, never a crash or unbounded memory."""

import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pruning.formats import compact_file
from tests.pruning.formats.compact_examples import example, head, masks_of, metadata_of, refusal, written
from tests.pruning.formats.mask_info import info_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.mark.parametrize("size", [0, 7, 8, 12, 15, 16, 100, -1, -32, -33, -60, -200])
def test_a_file_cut_short_is_refused(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    refusal(path)


def test_a_file_with_more_behind_or_before_it_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for longer in (content + b"\0", b"\0" + content, content * 2):
        path.write_bytes(longer)
        refusal(path)


def test_a_later_version_is_refused_with_advice(path: Path) -> None:
    path.write_bytes(head(metadata_of(), version=2))
    assert "update espalier" in refusal(path)


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 5000,
        json.dumps(metadata_of(unheard=1)).encode(),
        metadata_of(spec=None),
        metadata_of(shapes={"m": [0, 3]}),
        metadata_of(shapes={"m": [-1, -3]}),
        metadata_of(shapes={"m": [10**4000, 10**4000]}),
        metadata_of(shapes={"m": [1, 1]}, kept={"n": 1}),
        metadata_of(format="pt"),
        metadata_of(version=2),
        metadata_of(base_digest="abc"),
        metadata_of(spec={"model": "m"}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_metadata_that_cannot_be_right_are_refused(path: Path, metadata: dict[str, Any] | bytes) -> None:
    path.write_bytes(head(metadata) + bytes(100))
    assert len(refusal(path)) < 1000


@pytest.mark.parametrize(
    "shapes",
    [
        {"m": [2**31, 2**31]},
        {"m": [2**16, 2**15]},
        {"m": [2**24, 1]},
        {"m": [1, 2**30]},
        {f"m{i}": [1, 1] for i in range(2**14 + 1)},
        {f"m{i}": [4096, 4096] for i in range(65)},
    ],
    ids=lambda shapes: f"{len(shapes)}",
)
def test_a_file_that_claims_to_be_huge_is_refused_before_memory_is_taken(path: Path, shapes: dict[str, Any]) -> None:
    codecs = bytes([3]) * len(shapes)
    body = codecs + bytes([40]) * len(shapes) + bytes(2 * 2) + struct.pack("<HI", 65535, 2**32 - 1)
    path.write_bytes(head(metadata_of(shapes=shapes, kept=dict.fromkeys(shapes, 0))) + body)
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


def test_a_stream_too_short_for_its_symbols_is_refused_before_memory_is_taken(path: Path) -> None:
    shapes = {"m": [2**15, 2**14]}
    stream = struct.pack("<HI", 1, 0) + (2**24).to_bytes(5, "little")
    body = bytes([3, 40]) + bytes(4) + struct.pack("<HI", 0, 0) + stream + bytes(32)
    path.write_bytes(head(metadata_of(shapes=shapes, kept={"m": 0})) + body)
    tracemalloc.start()
    assert "1 lanes and 0 words" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_metadata_that_claim_to_be_huge_are_refused(path: Path) -> None:
    path.write_bytes(compact_file.MAGIC + struct.pack("<II", 1, 2**32 - 1) + b"{}")
    refusal(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"accuracy"', b'"accurasy"'), (b'"org/base","base_rev', b'"org/bass","base_rev'), (b'"sst2","kind"', b'"sst3","kind"')],
    ids=["metric", "model", "task"],
)
def test_a_change_of_the_metadata_is_noticed(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    assert "digest" in refusal(path)


def test_a_count_that_is_not_that_of_the_mask_is_refused(tmp_path: Path) -> None:
    masks = masks_of()
    kept = info_of(masks).kept
    compact_file.write(tmp_path / "m", masks, info_of(masks, kept={**kept, "b.1": kept["b.1"] - 1}))
    assert "b.1" in refusal(tmp_path / "m")


# --- fuzz

WHOLE = example()
BODY = 416
"""Where the metadata of the example end."""
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(at=st.integers(8 * 16, 8 * len(WHOLE) - 1))
def test_any_flipped_bit_is_refused(path: Path, at: int) -> None:
    flipped = bytearray(WHOLE)
    flipped[at // 8] ^= 1 << at % 8
    path.write_bytes(flipped)
    refusal(path)


@quick
@given(data=st.data())
def test_any_bytes_put_cut_or_changed_in_the_body_are_refused(path: Path, data: st.DataObject) -> None:
    begin = data.draw(st.integers(BODY, len(WHOLE)))
    end = data.draw(st.integers(begin, min(begin + 40, len(WHOLE))))
    content = WHOLE[:begin] + data.draw(st.binary(max_size=40)) + WHOLE[end:]
    path.write_bytes(content)
    if content != WHOLE:
        refusal(path)


@quick
@given(body=st.binary(max_size=200))
def test_any_body_behind_good_metadata_is_refused(path: Path, body: bytes) -> None:
    path.write_bytes(WHOLE[:BODY] + body)
    refusal(path)


@quick
@given(content=st.binary(max_size=300), magic=st.booleans())
def test_any_bytes_are_refused(path: Path, content: bytes, magic: bool) -> None:
    path.write_bytes(compact_file.MAGIC * magic + content)
    refusal(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_marks_tables_and_streams_in_a_well_formed_file_are_refused_or_make_a_mask(path: Path, data: st.DataObject) -> None:
    """The digest is right by construction only where the bits are: everything before it must hold on its own."""
    codecs = bytes(data.draw(st.lists(st.integers(0, 6), min_size=3, max_size=3)))
    bases = bytes(data.draw(st.integers(0, 80)) for codec in codecs if codec >= 3)
    body = codecs + bases
    for kinds in ((4, 6), (5, 6)):
        marks = sorted(data.draw(st.sets(st.integers(0, 255), min_size=2, max_size=6)))
        if set(codecs) & set(kinds):
            frequencies = [65536 // len(marks)] * (len(marks) - 1)
            frequencies.append(65536 - sum(frequencies))
            entries = b"".join(struct.pack("<BH", *entry) for entry in zip(marks, frequencies, strict=True))
            body += struct.pack("<H", len(marks)) + entries
        else:
            body += bytes(2)
    for _ in range(2):
        lanes, words = data.draw(st.integers(0, 3)), data.draw(st.binary(max_size=8).filter(lambda b: len(b) % 2 == 0))
        states = b"".join(data.draw(st.integers(2**24, 2**40 - 1)).to_bytes(5, "little") for _ in range(lanes))
        body += struct.pack("<HI", lanes, len(words) // 2) + states + words
    path.write_bytes(WHOLE[:BODY] + body + data.draw(st.binary(max_size=12)) + bytes(32))
    refusal(path)
