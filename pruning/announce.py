"""The event that says of a file that it is complete. Called by whoever writes artifacts."""

import hashlib
from pathlib import Path

from pruning.events import ArtifactEvent


def announce(path: Path, media_type: str) -> ArtifactEvent:
    """Size and digest of a file as they are now. Raises OSError."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ArtifactEvent(name=path.name, media_type=media_type, bytes=path.stat().st_size, sha256=sha256)
