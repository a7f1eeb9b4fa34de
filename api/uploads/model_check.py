"""Check of an uploaded model's files, as of a local folder, by its sketch and in a child process.

The sketch is a folder with the model's small files, and of its weights the headers alone, in files of the right size; the rest of
such a file is a hole, which takes no disk. What checks local folders reads headers only, so it checks uploads by the same code and
without a copy of the weights. The child process is there for the tokenizer, which is untrusted: a library of another language
builds it from ``tokenizer.json``, and its rules (regular expressions among them) run on the label words and the template of a job.

Called by ``api.routes.models`` before a model is stored, and by ``api.submission.uploaded_models`` before a job on it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from api.errors.exceptions import UnavailableError
from api.uploads.confined import ParseLimits, run_confined
from pruning.data.files.formats import TooLargeError
from pruning.errors import PermanentError
from pruning.models.checks import check_class_names, check_model_folder, check_template, read_model_type
from pruning.models.masked_shapes import count_masked_weights
from pruning.models.pooling_checks import Pooling, check_pooling
from pruning.spec.verbalizer import ClassWords, Pieces

HEADER_BYTES = 16 * 1024**2
"""Most of a header that is read; one of 100,000 tensors has 10 MB."""
Read = Callable[[int, int], bytes]
"""The bytes from a first one to another, which is not included."""
SECONDS = 120
"""Longest that a check may take; a tokenizer of 256,000 tokens takes a second."""
_MAX_CHECKED = 2
"""Models that one process checks at a time; each may take the memory of a child process."""
_slots = BoundedSemaphore(_MAX_CHECKED)


@dataclass(frozen=True)
class ModelUse:
    """What a job asks of a model folder; without more than a head, whether the folder can be used at all."""

    head: str = "classifier"
    label_words: Sequence[ClassWords] = ()
    template: str | None = None
    texts: int = 1
    """Columns of text that the template takes."""
    max_length: int = 0
    class_names: Sequence[str] | None = None
    """Of the task, for a model that has a trained classifier; None where nothing is to be compared."""
    classes: int = 0
    given_names: Sequence[str] | None = None
    """Names of the model's own classes in place of those of its configuration."""
    param: str = "model"
    pieces: Pieces = "refuse"
    """What is done with label words of several tokens."""
    pooling: Pooling | None = None


@dataclass(frozen=True)
class CheckedModel:
    """What the files of a model say of it."""

    model_type: str
    masked_weights: int | None


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


def check_use(folder: Path, use: ModelUse) -> CheckedModel:
    """Refuse a folder that ``use`` cannot be made of. Raises PermanentError as :mod:`pruning.models.checks` does."""
    check_model_folder(folder, use.label_words, use.head, use.pieces)
    if use.template is not None:
        check_template(folder, use.template, use.texts, use.max_length)
    check_pooling(folder, use.pooling)
    if use.class_names is not None:
        head = "token-classifier" if use.head == "token-classifier" else "classifier"
        check_class_names(folder, use.class_names, use.classes, given=use.given_names, param=use.param, head=head)
    return CheckedModel(read_model_type(folder), count_masked_weights(folder))


def check_confined(folder: Path, use: ModelUse, memory_bytes: int, seconds: int = SECONDS) -> CheckedModel:
    """:func:`check_use` of a folder of untrusted files, in a child process with limits.

    Raises also PermanentError (``model_files_invalid``) where the check needs more than ``memory_bytes`` or ``seconds``, and
    UnavailableError (``too_many_uploads``).
    """
    if not _slots.acquire(timeout=seconds):
        raise UnavailableError("too_many_uploads", "other models are being checked; try again in a moment")
    try:
        request: dict[str, Any] = {"folder": str(folder), "use": asdict(use)}
        answer = run_confined("api.uploads.model_child", request, ParseLimits(memory_bytes, seconds), kind="model")
    except TooLargeError as fault:
        message = f"{fault}: use a smaller tokenizer.json, without costly rules"
        raise PermanentError(message, code="model_files_invalid", param=use.param) from fault
    finally:
        _slots.release()
    if "refused" in answer:
        raise PermanentError(**answer["refused"])
    return CheckedModel(**answer)
