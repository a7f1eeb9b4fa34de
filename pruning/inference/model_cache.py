"""LRU cache of masked models for predictions: one bank of masks per base model, and requests answered from them.

Called by :mod:`pruning.cli.serve_predictions`.
"""

import heapq
import traceback
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pruning.errors import PruningError, TemporaryError
from pruning.formats import compact_file, mask_file
from pruning.formats.mask_file import MaskInfo
from pruning.inference.mask_bank import MaskBank
from pruning.inference.masked_base import head_family
from pruning.inference.pruned_model import Prediction
from pruning.sources import Sources

MAX_BASES = 2
"""Bases that are kept in memory; a third one replaces the least recently used."""
MAX_PROBABILITIES = 100
"""Classes of which a response gives the probability: all of a task's, or the most probable ones, largest first."""
_BankKey = tuple[str, str | None, str, str, int]


class ModelCache:
    """The most recently used masks, in a bank for each base."""

    def __init__(self, sources: Sources, masks: int) -> None:
        """``masks``: how many are kept."""
        self._sources = sources
        self._max_masks = masks
        self._banks: OrderedDict[_BankKey, MaskBank] = OrderedDict()
        self._masks: OrderedDict[str, _BankKey] = OrderedDict()
        """Key of a mask's content → its bank; the most recently used last, as in the banks."""

    def respond(self, request: dict[str, Any]) -> dict[str, Any]:
        """The response to one request; failures are responses, too."""
        try:
            bank = self._bank(request["key"], Path(request["mask"]), request.get("weights"), request.get("model"))
            found = bank.predictions(request["key"], request["texts"], request.get("pairs"))
        except PruningError as refusal:
            kind = "temporary" if isinstance(refusal, TemporaryError) else "permanent"
            return _error(kind, refusal.code, refusal.message, refusal.param)
        except Exception as fault:  # noqa: BLE001 - the next request may be about another mask; this one gets the error
            traceback.print_exc()
            if isinstance(fault, MemoryError) or "allocate memory" in str(fault):
                self._clear()
                return _error("temporary", "out_of_memory", "the predictions need more memory than the limit allows")
            return _error("permanent", "prediction_failed", f"the model cannot be used: {type(fault).__name__}: {fault}")
        return {"predictions": [_as_json(prediction) for prediction in found]}

    def _bank(self, key: str, mask: Path, weights: str | None, model: str | None) -> MaskBank:
        if key in self._masks:
            self._masks.move_to_end(key)
            self._banks.move_to_end(self._masks[key])
            return self._banks[self._masks[key]]
        info = compact_file.read_info(mask) if compact_file.is_compact(mask) else mask_file.read_info(mask)
        name = _bank_key(info)
        if name not in self._banks and len(self._banks) >= MAX_BASES:
            self._drop(next(iter(self._banks)))
        bank = self._banks.setdefault(
            name, MaskBank(Path(model) if model else info.base_model, revision=info.base_revision, sources=self._sources)
        )
        bank.add(key, mask, weights=weights)
        self._banks.move_to_end(name)
        self._masks[key] = name
        if len(self._masks) > self._max_masks:
            oldest, of = self._masks.popitem(last=False)
            self._banks[of].remove(oldest)
        return bank

    def _drop(self, name: _BankKey) -> None:
        del self._banks[name]
        self._masks = OrderedDict((key, of) for key, of in self._masks.items() if of != name)

    def _clear(self) -> None:
        self._banks.clear()
        self._masks.clear()


def _bank_key(info: MaskInfo) -> _BankKey:
    """Masks with an equal key can share a loaded base."""
    family = head_family(info.head)
    classes = 0 if family == "words" else info.classes
    return info.base_model, info.base_revision, info.base_digest, family, classes


def _as_json(prediction: Prediction) -> dict[str, Any]:
    """The prediction without the least probable of many classes: 64 texts of 5000 classes would be 10 MB."""
    values = prediction.probabilities
    if values is None or len(values) <= MAX_PROBABILITIES:
        return asdict(prediction)
    most = heapq.nlargest(MAX_PROBABILITIES, values, key=values.__getitem__)
    return asdict(replace(prediction, probabilities={name: values[name] for name in most}))


def _error(kind: str, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"kind": kind, "code": code, "message": message, "param": param}}
