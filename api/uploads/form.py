"""Multipart form of a data set upload: its name, and one file per split. Called by ``api.routes.datasets``."""

import re

from starlette.datastructures import FormData, UploadFile

from api.errors.problems import Fault
from api.uploads.isolation import InvalidRowsError
from api.uploads.normalize import SplitFile
from pruning.data.files.formats import detect_format

MAX_SPLITS = 8
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)


def parse_form(form: FormData) -> tuple[str | None, dict[str, SplitFile]]:
    """The name of the data set, if it has one, and its files by split. Raises InvalidRowsError, UnknownFormatError."""
    name: str | None = None
    files: dict[str, SplitFile] = {}
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            if not _SPLIT_NAME.fullmatch(field) or field == "name":
                raise _invalid_field(field, "a file's field is the name of its split: letters, digits and _ . -")
            if field in files:
                raise _invalid_field(field, f"there are two files for the split {field}")
            files[field] = SplitFile(detect_format(value.filename or "", value.content_type), value.file)
        elif field != "name":
            raise _invalid_field(field, "send a file: curl -F train=@train.csv")
        elif not (1 <= len(value) <= 100 and value.isprintable()):
            raise _invalid_field(field, "a name has 1 to 100 printable characters")
        else:
            name = value
    if not files:
        raise _invalid_field("train", "send at least one file, and for a job those of its train and validation splits")
    return name, files


def _invalid_field(field: str, detail: str) -> InvalidRowsError:
    return InvalidRowsError([Fault(code="form_invalid", detail=f"{field}: {detail}", parameter=field)])
