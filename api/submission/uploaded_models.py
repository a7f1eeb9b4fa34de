"""Uploaded models of a job that is submitted: their sketches, as folders to be checked, and their locks until the job is stored.

Called by ``api.submission.admission``. A sketch is kept for the next submission: a sweep posts the same model many times.
"""

import shutil
import tempfile
import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path

from sqlalchemy.orm import Session

from api.uploads.model_check import ModelUse, check_confined, write_sketch
from pruning.errors import PermanentError
from pruning.spec.schema import PruningSpec
from service import uploaded_models
from service.db.engine import Database
from service.db.models import ModelFile
from service.errors import UploadedModelNotFoundError
from service.ids import is_model_id

_KEPT = 8
_KEPT_ANSWERS = 256
_answers: "OrderedDict[tuple[str, ModelUse], tuple[str, str, str | None] | None]" = OrderedDict()
"""What the check said of a model and a use of it: message, code and field of its refusal, or None."""
_sketches: OrderedDict[str, "tempfile.TemporaryDirectory[str]"] = OrderedDict()
_lock = threading.Lock()


def sketch_of(database: Database, model_id: str, owner: str, param: str = "model") -> Path:
    """A folder for the checks of local folders. Raises PermanentError (``model_not_found``) naming ``param``.

    Whether the model is ``owner``'s is asked every time.
    """
    with database.read() as session:
        try:
            row = uploaded_models.get(session, model_id, owner=owner)
        except UploadedModelNotFoundError as missing:
            raise PermanentError(str(missing), code="model_not_found", param=param) from missing
        files = uploaded_models.files_of(session, row.number)
    with _lock:
        if model_id not in _sketches or not Path(_sketches[model_id].name).is_dir():
            folder = tempfile.TemporaryDirectory(prefix="espalier-model-", ignore_cleanup_errors=True)
            inner = Path(folder.name) / (row.name or model_id).replace("/", "_")
            inner.mkdir()
            write_sketch(inner, {file.name: (partial(_read, database, file), file.size) for file in files})
            _sketches[model_id] = folder
            while len(_sketches) > _KEPT:
                _, oldest = _sketches.popitem(last=False)
                shutil.rmtree(oldest.name, ignore_errors=True)
        _sketches.move_to_end(model_id)
        return next(Path(_sketches[model_id].name).iterdir())


def check_uploaded(model_id: str, memory_bytes: int, folder: Path, use: ModelUse) -> None:
    """:func:`api.uploads.model_check.check_confined` of a sketch, once for each use. Raises what that does."""
    key = (model_id, use)
    with _lock:
        known, refusal = key in _answers, _answers.get(key)
    if not known:
        try:
            check_confined(folder, use, memory_bytes)
        except PermanentError as error:
            refusal = (error.message, error.code, error.param)
        with _lock:
            _answers[key] = refusal
            while len(_answers) > _KEPT_ANSWERS:
                _answers.popitem(last=False)
    if refusal is not None:
        message, code, param = refusal
        raise PermanentError(message, code=code, param=param)


def lock_models(session: Session, spec: PruningSpec, owner: str) -> None:
    """Protect the uploaded models that ``spec`` names from deletion until this transaction, which adds the job, has ended.

    Raises PermanentError (``model_not_found``) naming the field.
    """
    for param, name in (("model", spec.model), ("teacher", spec.teacher)):
        if name is not None and is_model_id(name):
            try:
                uploaded_models.lock_for_reader(session, name, owner=owner)
            except UploadedModelNotFoundError as missing:
                raise PermanentError(str(missing), code="model_not_found", param=param) from missing


def _read(database: Database, file: ModelFile, start: int, stop: int) -> bytes:
    return b"".join(uploaded_models.iter_file(database, file, start, stop))
