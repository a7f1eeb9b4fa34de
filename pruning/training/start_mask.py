"""Start mask of a run (``init_from``): found, read and checked against the model before anything is trained.

Called by :mod:`pruning.training.setup`. A worker puts the mask of a job into the folder of the run's uploads; outside a service the
file is an argument of ``python -m pruning train``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pruning.errors import PermanentError
from pruning.events import LogEvent
from pruning.files import file_sha256
from pruning.formats import compact_file
from pruning.formats.mask_file import MaskInfo, Masks
from pruning.masking.wrap import Matrices
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.spec.start import check_start, is_file_digest

FILE = "mask.safetensors"


@dataclass(frozen=True)
class StartMask:
    """A mask that a run starts from."""

    name: str
    """``init_from``: the job that made it, or the SHA-256 of its file."""
    sha256: str
    """SHA-256 of its file."""
    masks: Masks
    info: MaskInfo

    def require_fit(self, base_digest: str, matrices: Matrices) -> None:
        """Refuse a model with other weights or masked matrices. Raises PermanentError (``base_mismatch``)."""
        shapes = {path: (layer.out_features, layer.in_features) for path, layer in matrices.layers.items()}
        if base_digest == self.info.base_digest and shapes == self.info.shapes:
            return
        what = "the weights" if base_digest != self.info.base_digest else "the masked matrices"
        raise PermanentError(
            f"the mask in init_from was made for {self.info.base_model} (sha-256 {self.info.base_digest[:12]}…, head "
            f"{self.info.head}), and {what} of the model are others (sha-256 {base_digest[:12]}…); give the same model with a head "
            "of the same kind, or leave init_from out",
            code="base_mismatch",
            param="init_from",
        )

    def numbers(self) -> dict[str, Any]:
        """Section of the report."""
        info = self.info
        return {"from": self.name, "sha256": self.sha256, "remaining": info.density, "method": info.spec.method, "task": info.task}

    def describe(self, found: dict[str, torch.Tensor]) -> list[LogEvent]:
        """Messages about the start; ``found`` are the first masks of the run (bool [out, in], by module path)."""
        info = self.info
        made = f"{info.spec.method} on {info.task}, {info.density:.2%} of the weights kept"
        other = sum(int(np.count_nonzero(mask != found[path].cpu().numpy())) for path, mask in self.masks.items())
        equal = "the first mask is the same" if other == 0 else f"the first mask differs from it in {other:,} weights"
        events = [LogEvent(message=f"started from the mask of {self.name} ({made}); {equal}")]
        if info.weights_sha256 is not None:
            message = (
                "the run that made this mask trained weights, biases or a read-out as well; they are not taken over, those of this "
                "run start from the base model"
            )
            events.append(LogEvent(level="warning", message=message))
        return events


def load_start_mask(spec: PruningSpec, sources: Sources) -> StartMask | None:
    """The mask that a spec starts from; None where it starts from the whole model.

    Raises PermanentError (``start_missing``, ``mask_invalid``, ``pattern_unfit``, ``base_mismatch``).
    """
    if spec.init_from is None:
        return None
    uploaded = sources.uploads_dir / spec.init_from / FILE if sources.uploads_dir is not None else None
    path = sources.init_mask or uploaded
    if path is None or not path.is_file():
        raise PermanentError(
            f"the mask of init_from {spec.init_from} is not available; give its file by --init-mask",
            code="start_missing",
            param="init_from",
        )
    sha256 = file_sha256(path)
    if is_file_digest(spec.init_from) and sha256 != spec.init_from:
        raise PermanentError(
            f"{path.name} has the SHA-256 {sha256}, and init_from is {spec.init_from}; give the file that init_from names",
            code="mask_invalid",
            param="init_from",
        )
    try:
        masks, info = compact_file.read_either(path)
    except PermanentError as fault:
        raise PermanentError(fault.message, code=fault.code, param="init_from") from fault
    check_start(spec.model_dump(), info.spec.model_dump())
    return StartMask(spec.init_from, sha256, masks, info)
