"""Sketch of an uploaded model: a folder with its small files, and of its weights the headers alone, in files of the right size.

The rest of such a file is a hole, which takes no disk. What checks local folders reads headers only, so it checks uploads by the
same code and without a copy of the weights. Called by ``api.routes.models`` before a model is stored, and by
``api.submission.uploaded_models`` before a job on it is.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

HEADER_BYTES = 16 * 1024**2
"""Most of a header that is read; one of 100,000 tensors has 10 MB."""
Read = Callable[[int, int], bytes]
"""The bytes from a first one to another, which is not included."""


def write_sketch(folder: Path, files: Mapping[str, tuple[Read, int]]) -> None:
    """Write the sketch of ``files`` (readers and sizes in bytes) to ``folder``. A header that cannot be right stays cut off, and is
    refused by the check. Raises OSError."""
    for name, (read, size) in files.items():
        with (folder / name).open("wb") as file:
            if not name.endswith(".safetensors"):
                file.write(read(0, size))
                continue
            length = read(0, min(8, size))
            file.write(length)
            header = int.from_bytes(length, "little")
            if header <= HEADER_BYTES and 8 + header <= size:
                file.write(read(8, 8 + header))
                file.truncate(size)
