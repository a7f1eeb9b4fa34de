"""Form and check of an uploaded mask: the file is read whole, in a child process with limits, before it is stored.

Metadata, shapes and bits are the user's, and of one of two binary formats: what reads them is kept from the API's memory and
secrets. Called by ``api.routes.masks``, and :func:`summarize_mask` by the child process.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from starlette.datastructures import FormData, UploadFile

from api.uploads.confined import ParseLimits, run_confined
from pruning.data.files.formats import TooLargeError
from pruning.errors import PermanentError
from pruning.formats import compact_file

_SHOWN = 200
"""Characters of a text of the metadata that are stored; names are shorter."""


@dataclass(frozen=True)
class MaskSummary:
    """What a mask file says of itself."""

    base_model: str
    """Name that its job was posted with."""
    base_digest: str
    """SHA-256 of the base weights."""
    task: str
    head: str
    method: str
    pattern: str
    weights: int
    """Masked weights."""
    kept: int
    """Ones in the mask."""


def parse_mask_form(form: FormData, max_bytes: int) -> tuple[str | None, UploadFile]:
    """The name that the mask is given, if it is given one, and its file. Raises PermanentError (``mask_invalid``)."""
    name, files = None, []
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.append(value)
        elif field != "name":
            raise _refused(field, f"{field} is no file; send one: curl -F file=@mask.safetensors")
        elif not (1 <= len(value) <= 100 and value.isprintable()):
            raise _refused(field, "name must have 1 to 100 printable characters")
        else:
            name = value
    if len(files) != 1:
        raise _refused("file", f"there are {len(files)} files; send one mask: curl -F file=@mask.safetensors")
    if (files[0].size or 0) > max_bytes:
        raise _refused("file", f"the file has {files[0].size} bytes; a mask may have {max_bytes}")
    return name, files[0]


def check_mask(file: IO[bytes], limits: ParseLimits) -> MaskSummary:
    """What the mask in ``file`` says of itself, once all of it was read.

    Raises PermanentError (``mask_invalid``) for anything else, or more than ``limits``; OSError.
    """
    with tempfile.NamedTemporaryFile(prefix="espalier-mask-") as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        request: dict[str, Any] = {"mask": copy.name}
        try:
            answer = run_confined("api.uploads.model_child", request, limits, kind="mask")
        except TooLargeError as fault:
            raise _refused("file", f"{fault}; its matrices are too large, or not those of a mask") from fault
    if "refused" in answer:
        raise _refused("file", answer["refused"]["message"])
    return MaskSummary(**answer)


def summarize_mask(path: Path) -> MaskSummary:
    """Read all of a mask, in either form. Raises PermanentError (``mask_invalid``)."""
    _, info = compact_file.read_either(path)
    return MaskSummary(
        base_model=info.base_model[:_SHOWN],
        base_digest=info.base_digest,
        task=info.task[:_SHOWN],
        head=info.head[:_SHOWN],
        method=info.spec.method,
        pattern=info.spec.pattern,
        weights=sum(rows * columns for rows, columns in info.shapes.values()),
        kept=sum(info.kept.values()),
    )


def _refused(param: str, message: str) -> PermanentError:
    return PermanentError(message, code="mask_invalid", param=param)
