"""``MaskBank``: many masks on one base model in memory. Needs the ``train`` extra; loaded on first use."""

from pathlib import Path

from espalier.inference.loading import import_error, models_folder

try:
    from pruning.inference import mask_bank
    from pruning.sources import Sources
except ImportError as missing:
    raise import_error("MaskBank", missing) from missing


class MaskBank(mask_bank.MaskBank):
    """One frozen base, a mask for every task: ``bank.add("sst2", "mask.safetensors")``, ``bank.predict("sst2", texts)``."""

    def __init__(self, base: str | Path, *, revision: str | None = None, models_dir: str | Path | None = None) -> None:
        """``base`` is a folder, or a name under ``models_dir`` (default: ``ESPALIER_MODELS_DIR``) or on the hub."""
        super().__init__(base, revision=revision, sources=Sources(models_dir=models_folder(models_dir)))
