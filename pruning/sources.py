"""Sources of models and data sets: local directories, the hub, the hub token, the token cache, and the mask to start from.

Made from the arguments of ``python -m pruning``, passed to the loaders of models and rows. Torch-free.
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sources:
    """Lookup order of models and data sets: local directories first, then the hub where it is enabled."""

    models_dir: Path | None = None
    datasets_dir: Path | None = None
    hub: bool = True
    token: str | None = field(default=None, repr=False)
    """Hub token; read from a file, so that no argument, environment variable or log contains it."""
    token_file: Path | None = None
    """File of the hub token, for a program that this one starts."""
    uploads_dir: Path | None = None
    """Data sets and models that came with the run, as a service's uploaded ones do; searched before the other folders."""
    init_mask: Path | None = None
    """File of the mask that a spec names in ``init_from``; None: it came with the uploads, or the spec names none."""
    token_cache: Path | None = None
    """Folder of tokens from earlier runs (:mod:`pruning.data.token_cache`); None: every run tokenizes."""
    token_cache_bytes: int = 1024**3
    """Limit of the bytes kept there."""
    hub_model_bytes: int | None = None
    """Limit of the total bytes of a model's files on the hub; None: no limit."""
