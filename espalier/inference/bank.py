"""``MaskBank``: many masks on one base in memory. Needs the ``train`` extra; loaded when it is first asked for."""

import os
from pathlib import Path

try:
    from pruning.inference import mask_bank
except ImportError as missing:
    raise ImportError(
        f"MaskBank needs {missing.name}, which the client alone does not install: pip install 'espalier[train]'"
    ) from missing
from pruning.sources import Sources


class MaskBank(mask_bank.MaskBank):
    """One frozen base, a mask for every task: ``bank.add("sst2", "mask.safetensors")``, ``bank.predict("sst2", texts)``."""

    def __init__(
        self, base: str | Path, *, revision: str | None = None, models_dir: str | Path | None = None
    ) -> None:  # fmt: skip
        """``base`` is a folder, or a name under ``models_dir`` (default: ``ESPALIER_MODELS_DIR``) or on the hub."""
        given = models_dir if models_dir is not None else os.environ.get("ESPALIER_MODELS_DIR")
        super().__init__(base, revision=revision, sources=Sources(models_dir=Path(given) if given else None))
