"""A file that is complete or absent under its name, whatever interrupts its writing."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to; it takes the name once it is on disk, or is removed. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
        name = Path(temporary.name)
    try:
        yield name
        with name.open("rb") as written:
            os.fsync(written.fileno())
        name.chmod(0o644)  # temporary files are private, a mask is not
        name.replace(path)
    except BaseException:
        name.unlink()
        raise
