"""Sources of models and data sets: local directories, the hub, the hub token, the token cache, and the mask to start from.

Made from the arguments of ``python -m pruning``, passed to whatever loads a model or rows. Torch-free.
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sources:
    """Local directories first, then the hub if it may be asked."""

    models_dir: Path | None = None
    datasets_dir: Path | None = None
    hub: bool = True
    token: str | None = field(default=None, repr=False)
    """Of the hub; read from a file, so that it is in no argument, environment or log."""
    token_file: Path | None = None
    """That file, for a program that is started in turn."""
    uploads_dir: Path | None = None
    """Data sets and models that came with the run, as a service's uploaded ones do; looked at before the other folders."""
    init_mask: Path | None = None
    """File of the mask that a spec names in ``init_from``; None: it came with the uploads, or the spec names none."""
    token_cache: Path | None = None
    """Folder of tokens from earlier runs (:mod:`pruning.data.token_cache`); None: every run tokenizes."""
    token_cache_bytes: int = 1024**3
    """Most that is kept there."""
    hub_model_bytes: int | None = None
    """Most that a model's files on the hub may have together; None: no limit."""
