"""Bank of masks on one base model: the base is in memory once, each task is a mask of bits, switching needs no reloading.

    bank = MaskBank("bert-base-uncased")
    bank.add("sst2", "sst2/mask.safetensors")
    bank.add("mnli", "mnli/mask.espalier")
    bank.predict("sst2", ["a film to remember"])

Memory: the base, a second copy of its masked matrices that carries the mask in use, and one bit per masked weight for each
task. A switch multiplies the matrices with another mask and attaches another head. Called by
:mod:`pruning.inference.model_cache` and, as ``espalier.MaskBank``, by users.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.errors import PermanentError
from pruning.formats import compact_file, trained_weights
from pruning.formats.mask_file import MaskInfo, Masks
from pruning.hub.models import ModelFolder
from pruning.inference.masked_base import (
    apply_trained,
    create_mask_head,
    find_trained_weights,
    head_family,
    load_base,
    require_same_base,
    require_same_matrices,
)
from pruning.inference.pruned_model import Prediction, PrunedModel, Texts
from pruning.masking.bits import pack_lsb_first, unpack_lsb_first
from pruning.masking.wrap import prunable_linears
from pruning.models.loading import LoadedModel, locate_model, weights_digest
from pruning.sources import Sources


@dataclass(frozen=True)
class _Entry:
    """A task in the bank."""

    info: MaskInfo
    bits: dict[str, npt.NDArray[np.uint8]]
    """Module path → packed mask."""
    stored: dict[str, torch.Tensor] | None
    """Tensors that its method trained in addition to the mask."""

    @property
    def bytes(self) -> int:
        more = (self.stored or {}).values()
        return sum(bits.nbytes for bits in self.bits.values()) + sum(tensor.nbytes for tensor in more)

    def mask(self, path: str) -> torch.Tensor:
        rows, columns = self.info.shapes[path]
        return torch.from_numpy(unpack_lsb_first(self.bits[path], rows * columns).reshape(rows, columns))


class _Base:
    """A loaded base and the mask that is applied to it at the moment."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.digest = weights_digest(loaded.model, loaded.new_parameters)
        self.linears = prunable_linears(loaded.model)
        self.weights = {path: linear.weight.detach().clone() for path, linear in self.linears.items()}
        self._before: dict[str, torch.Tensor] = {}
        """Parameters that the entry in use replaced, as the base has them."""
        self._head: Any = None

    @torch.no_grad()
    def apply(self, entry: _Entry) -> PrunedModel:
        """The base under another mask, with the head of its task."""
        self._release()
        loaded, model = self.loaded, self.loaded.model
        for path, linear in self.linears.items():
            torch.mul(self.weights[path], entry.mask(path), out=linear.weight)
        if entry.stored is not None:
            names = [key.removeprefix("parameter.") for key in entry.stored if key.startswith("parameter.")]
            self._before = {name: model.get_parameter(name).clone() for name in names}
            masks = {path: entry.mask(path) for path in entry.bits}
            loaded = apply_trained(entry.stored, loaded, masks, entry.info, trained_weights.WEIGHTS)
        self._head = create_mask_head(loaded, entry.info)
        return PrunedModel(self._head, self.loaded.tokenizer, entry.info)

    @torch.no_grad()
    def _release(self) -> None:
        if self._head is not None:
            self._head.release()
            self._head = None
        for name, parameter in self._before.items():
            self.loaded.model.get_parameter(name).copy_(parameter)
        self._before = {}


class MaskBank:
    """Masks of one base model by name. May be used by several threads; they take turns."""

    def __init__(self, base: str | Path, *, revision: str | None = None, sources: Sources | None = None) -> None:
        """``base`` is a folder, or a name that is looked up in ``sources`` (default: the hub).

        It is loaded when the first mask is added, which says with what kind of head.
        """
        self._base_name = base
        self._revision = revision
        self._sources = sources or Sources()
        self._entries: dict[str, _Entry] = {}
        self._base: _Base | None = None
        self._family: str | None = None
        """Whether its masks use the language-model head (label words, spans), a classifier or a token classifier."""
        self._used: tuple[_Entry, PrunedModel] | None = None
        self._lock = threading.RLock()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the masks in the bank."""
        return tuple(self._entries)

    @property
    def mask_bytes(self) -> int:
        """Memory of all masks, and of what their methods trained, together."""
        return sum(entry.bytes for entry in self._entries.values())

    def add(self, name: str, mask: str | Path, *, weights: str | Path | None = None) -> MaskInfo:
        """Add a mask file of either form; one of the same name is replaced.

        ``weights`` as in :func:`pruning.inference.masked_base.load_masked_base`. Raises PermanentError (``mask_invalid``,
        ``base_mismatch``, ``weights_missing``, …) or, while the base is loaded, TemporaryError.
        """
        path = Path(mask)
        masks, info = compact_file.read_either(path)
        with self._lock:
            base = self._base_for(info)
            require_same_base(base.digest, base.loaded.folder.path.name, info)
            require_same_matrices(base.linears, {matrix: bits.shape for matrix, bits in masks.items()})
            stored = None if info.weights_sha256 is None else trained_weights.read(find_trained_weights(path, info, weights))
            self._entries[name] = _Entry(info, _packed(masks), stored)
        return info

    def remove(self, name: str) -> None:
        """Drop a mask. Raises KeyError if there is none of this name."""
        with self._lock:
            del self._entries[name]

    @contextmanager
    def using(self, name: str) -> Iterator[PrunedModel]:
        """The model of a task; other threads wait until the block is left, after which it must not be used.

        Raises KeyError for a name that was not added.
        """
        with self._lock:
            if name not in self._entries:
                raise KeyError(f"there is no mask {name!r} in this bank; it has {', '.join(self._entries) or 'none'}")
            entry = self._entries[name]
            if self._used is None or self._used[0] is not entry:
                self._used = None  # if the switch fails, the state of the base is undefined
                assert self._base is not None  # noqa: S101 - for the type checker; there is an entry
                self._used = entry, self._base.apply(entry)
            yield self._used[1]

    def predict(self, name: str, texts: Texts, pairs: str | Sequence[str] | None = None) -> list[Any]:
        """Predictions of the mask ``name``, equal to the last bit to :meth:`pruning.inference.pruned_model.PrunedModel.predict`."""
        with self.using(name) as pruned:
            return pruned.predict(texts, pairs)

    def predictions(self, name: str, texts: Texts, pairs: str | Sequence[str] | None = None) -> list[Prediction]:
        """Predictions of the mask ``name``, as by :meth:`pruning.inference.pruned_model.PrunedModel.predictions`."""
        with self.using(name) as pruned:
            return pruned.predictions(texts, pairs)

    def _base_for(self, info: MaskInfo) -> _Base:
        family = head_family(info.head)
        if self._base is None:
            folder = Path(self._base_name)
            located = (
                ModelFolder(folder, None) if folder.is_dir() else locate_model(str(self._base_name), self._revision, self._sources)
            )
            self._base = _Base(load_base(located, info))
            self._family = family
        classes = self._base.loaded.model.config.num_labels
        if family != self._family or (family != "words" and self._base.loaded.new_parameters and classes != info.classes):
            raise PermanentError(
                f"this bank holds masks with another head than {info.head!r} for {info.classes} classes, which needs "
                "other parameters; make a second bank for it",
                code="base_mismatch",
                param="mask",
            )
        return self._base


def _packed(masks: Masks) -> dict[str, npt.NDArray[np.uint8]]:
    return {path: pack_lsb_first(mask) for path, mask in masks.items()}
