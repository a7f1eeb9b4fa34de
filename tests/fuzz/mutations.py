"""Mutations of JSON values, of file contents and of directory entries, drawn from a seeded generator.

Called by :mod:`tests.fuzz.model_mutations`, :mod:`tests.fuzz.dataset_mutations` and :mod:`tests.fuzz.faulty_hub`. Every function
returns a few words about what it did, for the report of a failure.
"""

import gzip
import json
import random
import shutil
from pathlib import Path
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    7,
    2**31,
    2**63,
    10**30,
    -(2**40),
    0.5,
    -0.0,
    1e-300,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "-1",
    "1e5",
    "x",
    "label",
    "great",
    "../../etc/passwd",
    "\x00",
    "\x1b[2J",
    "\ufeff",
    "\ud800",
    "é" * 300,
    "x" * 100_000,
    [],
    {},
    [None],
    [[]],
    {"": ""},
    [1, 2, 3],
    ["a", 1],
    {"a": {"b": [None]}},
)
NESTED = 5000
"""Levels of a value that is nested too deeply for recursive readers."""


def odd_value(source: random.Random) -> Any:
    """A value that a reader may not expect, of any JSON type."""
    return source.choice(ODD_VALUES)


def mutate_json(source: random.Random, value: Any) -> tuple[Any, str]:
    """A JSON value with one entry dropped, renamed, copied or replaced; ``value`` itself may be changed."""
    if not isinstance(value, dict | list) or not value or source.random() < 0.04:
        new = odd_value(source)
        return new, f"= {_short(new)}"
    key: Any = source.choice(list(value)) if isinstance(value, dict) else source.randrange(len(value))
    if isinstance(value[key], dict | list) and value[key] and source.random() < 0.7:
        value[key], what = mutate_json(source, value[key])
        return value, f"[{_short(key)}]{what}"
    kind = source.choice(("drop", "replace", "replace", "replace", "copy", "rename"))
    if kind == "drop":
        del value[key]
    elif kind == "replace":
        value[key] = odd_value(source)
        return value, f"[{_short(key)}] = {_short(value[key])}"
    elif isinstance(value, list):
        value.append(value[key])
    elif kind == "copy":
        value[source.choice(list(value))] = value[key]
    else:
        value[str(key).upper() if source.random() < 0.5 else f"{key}_"] = value.pop(key)
    return value, f"[{_short(key)}] {kind}"


def mutate_bytes(source: random.Random, content: bytes) -> tuple[bytes, str]:
    """A file's content, damaged or in another encoding."""
    place = source.randrange(len(content) + 1)
    odd = source.choice(
        (b"\xff", b"\x00", b"\xc3\x28", b"\xed\xa0\x80", b"\n", b"\r\n\r\n", b'"', b"}", b",", b"NaN", b"1e999", b"\\ud800")
    )
    what, changed = source.choice(
        (
            ("empty", b""),
            (f"cut at {place}", content[:place]),
            (f"{odd!r} at {place}", content[:place] + odd + content[place:]),
            ("bit flipped", _flip(source, content)),
            ("bits flipped", _flip(source, _flip(source, _flip(source, content)))),
            ("random tail", content + source.randbytes(64)),
            ("twice", content + content),
            ("byte order mark", b"\xef\xbb\xbf" + content),
            ("UTF-16", content.decode("utf-8", "replace").encode("utf-16")),
            ("Latin-1", content.decode("utf-8", "replace").encode("latin-1", "replace") + b"\xe9"),
            ("HTML", b"<!DOCTYPE html><html><body>Sign in</body></html>"),
            ("gzip", gzip.compress(content, mtime=0)),
            ("gzip, cut", gzip.compress(content, mtime=0)[: max(1, place // 4)]),
            ("random", source.randbytes(200)),
            ("deep nesting", b"[" * NESTED + b"]" * NESTED),
            ("deep nesting of objects", b'{"a":' * NESTED + b"1" + b"}" * NESTED),
        )
    )
    return changed, what


def mutate_entry(source: random.Random, file: Path) -> str:
    """Put something else where a file was."""
    kind = source.choice(("missing", "folder", "dangling link", "link to itself", "link to its folder", "other case"))
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)
    if kind == "folder":
        file.mkdir()
    elif kind == "dangling link":
        file.symlink_to(file.with_name("gone"))
    elif kind == "link to itself":
        file.symlink_to(file)
    elif kind == "link to its folder":
        file.symlink_to(file.parent)
    elif kind == "other case":
        file.with_name(file.name.upper()).write_bytes(b"{}")
    return f"{file.name}: {kind}"


def dump_json(value: Any) -> bytes:
    """As Python writes it, NaN and half surrogate pairs (escaped) included."""
    return json.dumps(value).encode()


def _flip(source: random.Random, content: bytes) -> bytes:
    changed = bytearray(content or b"\0")
    changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:30]}... ({len(text)})"
