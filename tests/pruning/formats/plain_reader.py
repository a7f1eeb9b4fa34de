"""A second reader of ``mask.espalier``, written from ``docs/reference/mask-format.md`` alone: plain Python, one symbol at a time,
no code of the project. Slow, and what it reads is the same or the document is wrong."""

import hashlib
import json
import math
from typing import Any

ONES = [round(2**24 / (1 + math.exp((40 - level) / 4))) for level in range(41)]  # the document lists them; a test compares


class Cursor:
    """A place in the bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, size: int) -> bytes:
        self.at += size
        assert self.at <= len(self.content)
        return self.content[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def table(self) -> list[int]:
        entries = {self.number(1): self.number(2) for _ in range(self.number(2))}
        return [entries.get(mark, 0) for mark in range(256)]

    def stream(self) -> tuple[list[int], list[int]]:
        lanes, words = self.number(2), self.number(4)
        return [self.number(5) for _ in range(lanes)], [self.number(2) for _ in range(words)]


def read(content: bytes) -> tuple[dict[str, list[list[int]]], dict[str, Any]]:
    """Rows of zeros and ones by name, and the metadata."""
    cursor = Cursor(content)
    assert cursor.take(8) == bytes.fromhex("89 45 53 50 4D 0D 0A 1A")
    assert cursor.number(4) == 1
    about = json.loads(cursor.take(cursor.number(4)))
    names = sorted(about["shapes"])
    shapes = [about["shapes"][name] for name in names]
    codecs = [cursor.number(1) for _ in names]
    bases = [cursor.number(1) if codec >= 3 else 0 for codec in codecs]
    tables = [cursor.table(), cursor.table()]
    marks_stream, bits_stream = cursor.stream(), cursor.stream()
    layouts = read_layouts(marks_stream, tables, codecs, bases, shapes)
    frequencies = [byte_frequencies(level) for level in range(81)]
    levels = [level for made in layouts if made for _, _, level in made[0]]
    symbols = decode(bits_stream, [frequencies[level] for level in levels])

    masks = {}
    for name, codec, (rows, columns), made in zip(names, codecs, shapes, layouts, strict=True):
        mask = [[int(codec == 2)] * columns for _ in range(rows)]
        if codec == 0:
            packed = cursor.take(-(-rows * columns // 8))
            bits = [byte >> (7 - i) & 1 for byte in packed for i in range(8)]
            mask = [bits[row * columns : (row + 1) * columns] for row in range(rows)]
        if codec >= 3:
            mask = [[int(constant) for constant in row] for row in made[1]]
            for row, group, _ in made[0]:
                byte = symbols.pop(0)
                for i, column in enumerate(group):
                    mask[row][column] = byte >> (7 - i) & 1
        masks[name] = mask
    before = content[: cursor.at]
    assert cursor.take(32) == hashlib.sha256(before + b"".join(pack(mask) for mask in masks.values())).digest()
    assert cursor.at == len(content)
    return masks, about


def pack(mask: list[list[int]]) -> bytes:
    """Packed bits."""
    flat = "".join(str(bit) for row in mask for bit in row)
    size = -(-len(flat) // 8)
    return int(flat.ljust(size * 8, "0"), 2).to_bytes(size, "big")


def read_layouts(stream: Any, tables: Any, codecs: list[int], bases: list[int], shapes: list[Any]) -> list[Any]:
    """For each matrix what ``layout`` says, None if it is not coded."""
    kinds = []
    for codec, (rows, columns) in zip(codecs, shapes, strict=True):
        kinds += [0] * rows * (codec in (4, 6)) + [1] * columns * (codec in (5, 6))
    marks = decode(stream, [tables[kind] for kind in kinds])
    layouts: list[Any] = []
    for codec, base, (rows, columns) in zip(codecs, bases, shapes, strict=True):
        row_marks = [marks.pop(0) for _ in range(rows)] if codec in (4, 6) else [128] * rows
        column_marks = [marks.pop(0) for _ in range(columns)] if codec in (5, 6) else [128] * columns
        layouts.append(layout(base, row_marks, column_marks) if codec >= 3 else None)
    return layouts


def decode(stream: tuple[list[int], list[int]], frequencies: list[list[int]]) -> list[int]:
    """One symbol for each list of frequencies."""
    states, words = list(stream[0]), list(stream[1])
    symbols = []
    for i, row in enumerate(frequencies):
        lane = i % len(states)
        slot = states[lane] % 65536
        start = symbol = 0
        while start + row[symbol] <= slot:
            start += row[symbol]
            symbol += 1
        symbols.append(symbol)
        states[lane] = row[symbol] * (states[lane] // 65536) + slot - start
        if states[lane] < 2**24:
            states[lane] = states[lane] * 65536 + words.pop(0)
    assert not words
    assert set(states) <= {2**24}
    return symbols


def layout(base: int, row_marks: list[int], column_marks: list[int]) -> tuple[Any, Any]:
    """(row, columns, level) of each byte, and the mask as far as marks alone give it."""
    order = sorted((c for c, mark in enumerate(column_marks) if 0 < mark < 255), key=lambda c: -column_marks[c])
    places = []
    for row, mark in enumerate(row_marks):
        for first in range(0, len(order) if 0 < mark < 255 else 0, 8):
            group = order[first : first + 8]
            mean = (sum(column_marks[c] - 128 for c in group) + len(group) // 2) // len(group)
            places.append((row, group, min(max(base + mark - 128 + mean, 0), 80)))
    constant = [[r == 255 or (r != 0 and c == 255) for c in column_marks] for r in row_marks]
    return places, constant


def byte_frequencies(level: int) -> list[int]:
    """Of the 256 bytes at a level."""
    one = ONES[level] if level <= 40 else 2**24 - ONES[80 - level]
    ones_in = [bin(byte).count("1") for byte in range(256)]
    row = [max(1, one**n * (2**24 - one) ** (8 - n) // 2**176) for n in ones_in]
    row[0 if level <= 40 else 255] += 65536 - sum(row)
    return row
