"""Multipart form of a model upload: the files of a Hugging Face folder, or that folder as one zip. Called by ``api.routes.models``.

Only files that a safetensors model is read from are taken, by flat names; what a zip claims of itself is never believed.
"""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO

from starlette.datastructures import FormData, UploadFile

from api.uploads.model_zip import unpack
from pruning.errors import PermanentError

MAX_FILES = 200
KINDS = (".safetensors", ".json", ".txt", ".model", ".jinja", ".md")
_SMALL_BYTES = 64 * 1024**2
"""Of a file that is no safetensors file; a tokenizer of 256,000 tokens has 35 MB."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,198}", re.ASCII)


def parse_model_form(form: FormData, stack: ExitStack, max_bytes: int) -> tuple[str | None, dict[str, tuple[IO[bytes], int]]]:
    """The name that the model is given, if it is given one, and its files with their sizes, by name.

    Files of a zip are temporary and closed with ``stack``. Raises PermanentError (``model_files_invalid``) naming the file.
    """
    name: str | None = None
    files: dict[str, tuple[IO[bytes], int]] = {}
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            file_name = value.filename or ""
            if file_name in files:
                raise invalid(file_name, "was sent twice; send each file once")
            files[file_name] = (value.file, value.size or 0)
        elif field != "name":
            raise invalid(field, "is no file; send files: curl -F file=@config.json -F file=@model.safetensors ...")
        elif not (1 <= len(value) <= 100 and value.isprintable()):
            raise invalid(field, "must have 1 to 100 printable characters")
        else:
            name = value
    zips = [file_name for file_name in files if file_name.lower().endswith(".zip")]
    if zips and len(files) > 1:
        raise invalid(zips[0], "came with other files; send the folder as one zip, or its files")
    if zips:
        files = unpack(files[zips[0]][0], stack, max_bytes=max_bytes, max_files=MAX_FILES, check_name=check_name)
    _check_files(files, max_bytes)
    return name, files


def check_name(name: str) -> None:
    """Refuse a file that no safetensors model is read from. Raises PermanentError (``model_files_invalid``)."""
    shown = name[:100]
    if not _NAME.fullmatch(name):
        raise invalid(shown, "is no name of a file in a model's folder: letters, digits and _ . - without folders; leave it out")
    if not name.lower().endswith(KINDS):
        raise invalid(shown, f"is not needed: a model is read from {', '.join(KINDS)} files; leave it out")


def invalid(param: str, detail: str) -> PermanentError:
    """The refusal of a file or field."""
    return PermanentError(f"{param} {detail}", code="model_files_invalid", param=param)


def _check_files(files: Mapping[str, tuple[IO[bytes], int]], max_bytes: int) -> None:
    if not files:
        raise invalid("file", "is missing: send the files of a model's folder, or the folder as one zip")
    if len({name.lower() for name in files}) < len(files):
        raise invalid("file", "names differ in case alone; keep one of them")
    for name, (_, size) in files.items():
        check_name(name)
        if size > _SMALL_BYTES and not name.endswith(".safetensors"):
            raise invalid(name, f"has {size} bytes; such a file may have {_SMALL_BYTES}")
    if (total := sum(size for _, size in files.values())) > max_bytes:
        raise invalid("file", f"sizes add up to {total} bytes; a model may have {max_bytes}")
