"""Tokenized rows kept on disk, so that the next run on the same data set does not cut the same texts again.

    tokens-<key>.safetensors        ids, lengths and token types, one row behind the other, with a digest

A key is made of everything that the tokens depend on (:func:`key_of`), so what is found is what the tokenizer would say.
Any number of processes may share a folder: files are renamed into place, and whoever adds one removes the longest unused
beyond the limit. Nothing is kept of rows that are someone's own (:attr:`pruning.data.reader.Rows.public`), of few rows, and
of spans, whose windows with the places of all tokens in their text would be many times as large.
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
from pruning.events import Event, LogEvent, PhaseEvent
from pruning.files import atomic_write
from pruning.sources import Sources

VERSION = 1
"""Of the layout of the files, and of how ``pruning.data.encoding.encode`` calls the tokenizer."""
MIN_ROWS = 1000
"""Fewer are tokenized in some 40 ms."""
_NAMES = ("input_ids", "token_type_ids")
_ABANDONED = 3600
"""Seconds after which a file that is still being written belongs to a process that was killed."""


@dataclass
class TokenCache:
    """Tokens of earlier runs in ``folder``, at most ``limit`` bytes of them; ``report`` hears what was found."""

    folder: Path
    max_bytes: int
    report: Callable[[Event], None]
    min_rows: int = MIN_ROWS
    _broken: bool = field(default=False, init=False)

    def tokens(
        self, rows: Rows, tokenizer: Any, max_length: int, tokenize: Callable[[], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """What ``tokenize`` returns: ``input_ids`` and maybe ``token_type_ids``, a list of ints for each row."""
        if self._broken or not rows.public or len(rows.labels) < self.min_rows:
            return tokenize()
        if getattr(tokenizer, "backend_tokenizer", None) is None:  # in Python, with a state that is not to be had whole
            return tokenize()
        key = cache_key(rows, tokenizer, max_length)
        file = self.folder / f"tokens-{key}.safetensors"
        found = self._find(file, key, len(rows.labels))
        if found is not None:
            message = f"{len(rows.labels)} rows of split {rows.split!r} found in the token cache"
            self.report(PhaseEvent(phase="tokenizing", message=message))
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
                raise ValueError("its digest is another")
            lengths = flat.pop("lengths")
            if len(lengths) != rows or any(len(tokens) != lengths.sum() for tokens in flat.values()):
                raise ValueError("it has other rows")
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as fault:
            self.report(LogEvent(message=f"a damaged file of the token cache is replaced ({file.name}: {fault})"))
            return None
        with suppress(OSError):  # removed meanwhile, or not ours to touch
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
        except OSError as fault:  # it saves seconds, and the run needs none of it
            self._broken = True
            self.report(LogEvent(message=f"tokens are not kept for later runs: {fault}"))

    def _evict(self) -> None:
        """Remove the files unused for longest until the rest is within the limit, and what killed processes left."""
        now = time.time()
        for partial in self.folder.glob(".tokens-*"):
            with suppress(FileNotFoundError):
                if partial.stat().st_mtime < now - _ABANDONED:
                    partial.unlink()
        found = []
        for file in self.folder.glob("tokens-*.safetensors"):
            with suppress(FileNotFoundError):  # another process does the same
                found.append((file.stat().st_mtime_ns, file.stat().st_size, file))
        excess = sum(size for _, size, _ in found) - self.max_bytes
        for _, size, file in sorted(found):
            if excess <= 0:
                break
            file.unlink(missing_ok=True)
            excess -= size


def from_sources(sources: Sources, report: Callable[[Event], None]) -> TokenCache | None:
    """The cache of a run; None where it is to have none."""
    if sources.token_cache is None or sources.token_cache_bytes == 0:
        return None
    return TokenCache(sources.token_cache, sources.token_cache_bytes, report)


def cache_key(rows: Rows, tokenizer: Any, max_length: int) -> str:
    """sha-256 over texts, tokenizer, the length at which they are cut, and the libraries that do it.

    Labels and label words are no part of it: tokens do not depend on them.
    """
    tokenizer.backend_tokenizer.no_truncation()  # left by the last call, and set anew by every call
    tokenizer.backend_tokenizer.no_padding()
    about = (
        VERSION, version("tokenizers"), version("transformers"), type(tokenizer).__name__, max_length, len(rows.texts),
        tokenizer.truncation_side, tokenizer.split_special_tokens, tokenizer.model_input_names,
    )  # fmt: skip
    total = hashlib.sha256(f"{about!r}\0{tokenizer.backend_tokenizer.to_str()}".encode("utf-8", "surrogatepass"))
    for texts in rows.texts:
        total.update(np.array([len(texts), *map(len, texts)], dtype=np.int64).data)
        total.update("".join(texts).encode("utf-8", "surrogatepass"))  # JSON may hold half a character
    return total.hexdigest()


def _flat(numbers: Any) -> Any:
    return np.fromiter(numbers, dtype=np.int32)


def _digest(key: str, flat: Mapping[str, Any]) -> str:
    total = hashlib.sha256(key.encode())
    for name in sorted(flat):
        total.update(f"{name} {flat[name].dtype} {flat[name].shape}".encode())
        total.update(flat[name].data)
    return total.hexdigest()
