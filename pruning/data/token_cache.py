"""Cache of tokenized rows on disk, shared between runs on the same data set.

    tokens-<key>.safetensors        ids, lengths and token types, all rows concatenated, with a digest

A key covers everything that the tokens depend on (:func:`cache_key`), so a hit equals what the tokenizer would give. Any number
of processes may share a folder: files are renamed into place, and each process that adds a file evicts the least recently used
ones beyond the limit. Not cached: rows that are private (:attr:`pruning.data.reader.Rows.public`), few rows, and spans, whose
windows with the offsets of all tokens would be many times as large. Called by :func:`pruning.data.encoding.encode_rows`.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pruning.data.reader import Rows
from pruning.events import EventSink, LogEvent, PhaseEvent
from pruning.files import atomic_write
from pruning.sources import Sources

VERSION = 3
"""Version of the file layout, and of how :func:`pruning.data.plain_text.tokenize_plain` calls the tokenizer: 2 since special tokens
in texts are plain text, 3 since there are templates."""
MIN_ROWS = 1000
"""Fewer rows are tokenized in some 40 ms."""
_NAMES = ("input_ids", "token_type_ids")
_ABANDONED = 3600
"""Seconds after which a temporary file is taken to be left by a killed process."""


@dataclass
class TokenCache:
    """Tokens of earlier runs in ``folder``, at most ``max_bytes`` of them; ``emit`` gets an event for each hit and each fault."""

    folder: Path
    max_bytes: int
    emit: EventSink
    min_rows: int = MIN_ROWS
    _broken: bool = field(default=False, init=False)

    def tokens(
        self, rows: Rows, tokenizer: Any, max_length: int, tokenize: Callable[[], Mapping[str, Any]], template: str | None = None
    ) -> Mapping[str, Any]:
        """What ``tokenize`` returns: ``input_ids`` and maybe ``token_type_ids``, a list of ints for each row.

        ``template`` is what ``tokenize`` writes around the texts."""
        if self._broken or not rows.public or len(rows.labels) < self.min_rows:
            return tokenize()
        if getattr(tokenizer, "backend_tokenizer", None) is None:  # in Python: its state cannot be hashed
            return tokenize()
        key = cache_key(rows, tokenizer, max_length, template)
        file = self.folder / f"tokens-{key}.safetensors"
        found = self._find(file, key, len(rows.labels))
        if found is not None:
            message = f"{len(rows.labels)} rows of split {rows.split!r} found in the token cache"
            self.emit(PhaseEvent(phase="tokenizing", message=message))
            return found
        tokens = tokenize()
        self._store(file, key, tokens)
        return tokens

    def _find(self, file: Path, key: str, rows: int) -> dict[str, list[list[int]]] | None:
        try:
            with safe_open(file, framework="np") as stored:
                metadata = stored.metadata() or {}
                flat = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            if metadata.get("sha256") != _digest(key, flat):
                raise ValueError("its digest does not match")
            lengths = flat.pop("lengths")
            if len(lengths) != rows or any(len(tokens) != lengths.sum() for tokens in flat.values()):
                raise ValueError("it is of other rows")
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as fault:
            self.emit(LogEvent(message=f"a damaged file of the token cache is replaced ({file.name}: {fault})"))
            return None
        with suppress(OSError):  # removed meanwhile, or owned by another user
            os.utime(file)
        ends = np.cumsum(lengths).tolist()
        starts = [0, *ends[:-1]]
        listed = ((name, tokens.tolist()) for name, tokens in flat.items())
        return {name: [all_[a:b] for a, b in zip(starts, ends, strict=True)] for name, all_ in listed}

    def _store(self, file: Path, key: str, tokens: Mapping[str, Any]) -> None:
        flat = {name: _flat(chain.from_iterable(tokens[name])) for name in _NAMES if name in tokens}
        flat["lengths"] = _flat(map(len, tokens["input_ids"]))
        data = save(flat, metadata={"sha256": _digest(key, flat)})
        if len(data) > self.max_bytes:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic_write(file) as unfinished:
                unfinished.write_bytes(data)
            self._evict()
        except OSError as fault:  # the cache saves seconds; the run does not need it
            self._broken = True
            self.emit(LogEvent(message=f"tokens are not kept for later runs: {fault}"))

    def _evict(self) -> None:
        """Remove the least recently used files beyond the limit, and temporary files of killed processes."""
        now = time.time()
        for partial in self.folder.glob(".tokens-*"):
            with suppress(FileNotFoundError):
                if partial.stat().st_mtime < now - _ABANDONED:
                    partial.unlink()
        found = []
        for file in self.folder.glob("tokens-*.safetensors"):
            with suppress(FileNotFoundError):  # another process may evict at the same time
                found.append((file.stat().st_mtime_ns, file.stat().st_size, file))
        excess = sum(size for _, size, _ in found) - self.max_bytes
        for _, size, file in sorted(found):
            if excess <= 0:
                break
            file.unlink(missing_ok=True)
            excess -= size


def from_sources(sources: Sources, emit: EventSink) -> TokenCache | None:
    """The cache of a run; None where it has none."""
    if sources.token_cache is None or sources.token_cache_bytes == 0:
        return None
    return TokenCache(sources.token_cache, sources.token_cache_bytes, emit)


def cache_key(rows: Rows, tokenizer: Any, max_length: int, template: str | None = None) -> str:
    """sha-256 over texts, template, tokenizer, the length at which they are cut, and the libraries that do it.

    Labels and label words are not part of it: tokens do not depend on them.
    """
    tokenizer.backend_tokenizer.no_truncation()  # state of the last call, overwritten by every call
    tokenizer.backend_tokenizer.no_padding()
    about = (
        VERSION,
        version("tokenizers"),
        version("transformers"),
        type(tokenizer).__name__,
        max_length,
        len(rows.texts),
        tokenizer.truncation_side,
        tokenizer.split_special_tokens,
        tokenizer.model_input_names,
        template,
    )
    total = hashlib.sha256(f"{about!r}\0{tokenizer.backend_tokenizer.to_str()}".encode("utf-8", "surrogatepass"))
    for texts in rows.texts:
        total.update(np.array([len(texts), *map(len, texts)], dtype=np.int64).data)
        total.update("".join(texts).encode("utf-8", "surrogatepass"))  # JSON may hold half a surrogate pair
    return total.hexdigest()


def _flat(numbers: Any) -> Any:
    return np.fromiter(numbers, dtype=np.int32)


def _digest(key: str, flat: Mapping[str, Any]) -> str:
    total = hashlib.sha256(key.encode())
    for name in sorted(flat):
        total.update(f"{name} {flat[name].dtype} {flat[name].shape}".encode())
        total.update(flat[name].data)
    return total.hexdigest()
