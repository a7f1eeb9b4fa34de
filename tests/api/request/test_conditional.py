"""Byte ranges and entity tags, against slices of a list of bytes, exhaustively for a small file."""

from itertools import product

import pytest

from api.request.conditional import ByteRange, RangeNotSatisfiableError, etag_matches, parse_range

TAG = '"abc"'


def test_every_single_range_of_small_files() -> None:
    for size, first, last in product(range(5), ["", *map(str, range(7))], ["", *map(str, range(7))]):
        content = bytes(range(size))
        header = f"bytes={first}-{last}"
        if not (first or last) or (first and last and int(last) < int(first)):
            assert parse_range(header, None, TAG, size) is None  # malformed: the whole
            continue
        bounds = slice(int(first), int(last) + 1 if last else None) if first else slice(size - min(int(last), size), size)
        expected = content[bounds]
        if expected:
            part = parse_range(header, None, TAG, size)
            assert part is not None
            assert content[part.start : part.stop] == expected
        else:
            with pytest.raises(RangeNotSatisfiableError):
                parse_range(header, None, TAG, size)


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes=1", "bytes=--1", "bytes=-1-", "0-1"]
)
def test_anything_but_one_range_gives_the_whole_file(header: str) -> None:
    assert parse_range(header, None, TAG, 10) is None


def test_numbers_of_any_length_are_handled() -> None:
    assert parse_range("bytes=5-9999999999999999999", None, TAG, 10) == ByteRange(5, 10)
    assert parse_range(f"bytes=0-{'9' * 5000}", None, TAG, 10) is None


@pytest.mark.parametrize(
    ("if_range", "honoured"),
    [
        (TAG, True),
        (f" {TAG} ", True),
        (f"W/{TAG}", False),
        ('"other"', False),
        ("Tue, 24 Nov 2026 06:00:00 GMT", False),
        ("", False),
    ],
)
def test_if_range_takes_only_the_strong_tag(if_range: str, honoured: bool) -> None:
    assert (parse_range("bytes=0-1", if_range, TAG, 10) is not None) == honoured


@pytest.mark.parametrize(
    ("header", "strong", "weak"),
    [
        (None, False, False),
        ("*", True, True),
        (TAG, True, True),
        (f"W/{TAG}", False, True),
        (f'"x", {TAG}', True, True),
        ('"x", "y"', False, False),
        ("abc", False, False),
    ],
)
def test_entity_tags(header: str | None, strong: bool, weak: bool) -> None:
    assert etag_matches(header, TAG, weak=False) == strong
    assert etag_matches(header, TAG, weak=True) == weak
