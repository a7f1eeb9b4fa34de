"""Prediction service: one child process predicts for this API process, and requests are handled one at a time.

Called by ``api.routes.predictions``. Masks and uploaded models are copied from the artifact store into a temporary folder, once
each and verified against their digest; the most recently used stay.
"""

import errno
import importlib.util
import json
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from api.errors.exceptions import NotPossibleError, UnavailableError
from api.predictions.process import (
    PredictionProcess,
    PredictionTimeoutError,
    ProcessEndedError,
    prediction_command,
    prediction_environment,
)
from pruning.errors import PermanentError
from pruning.files import CorruptDownloadError, write_verified
from service.artifacts import store
from service.concurrency import ConcurrencyLimiter
from service.db.engine import Database
from service.db.models import LOCAL, Artifact
from service.errors import StorageUnavailableError
from service.model_cache import fetch_model
from service.settings import Settings

MASK, WEIGHTS = "mask.safetensors", "weights.safetensors"
BUSY_RETRY_SECONDS = 5
_WHOLE = 0.9
"""Share of the time limit after which a process without a response counts as hung."""
_TEXT_ERRORS = frozenset({"window_too_short"})
"""Permanent errors that the texts cause; all others mean that this service cannot use the mask."""


class PredictionService:
    """The predictions of one API process. Any thread may use it."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        command: Callable[[Settings], list[str]] = prediction_command,
        slots: ConcurrencyLimiter | None = None,
    ) -> None:
        """``slots``: for requests that wait, by owner; default as many as the settings say, for any owner."""
        self._settings = settings
        self._database = database
        self._command = command
        waiting = settings.predictions_waiting
        self._queue_slots = slots or ConcurrencyLimiter(waiting, waiting)
        self._answer_seconds = 0.0
        """Duration of the latest response; a request with less time left at its turn is not sent."""
        self._lock = threading.Lock()
        self._process: PredictionProcess | None = None
        self._folder: Path | None = None
        self._mask_folders: OrderedDict[str, Path] = OrderedDict()
        """Digest of a mask → the folder with its files; the most recently used last."""

    def require_enabled(self) -> None:
        """Refuse where this service makes no predictions. Raises NotPossibleError, which names the remedy."""
        if not self._settings.predicts:
            raise NotPossibleError(
                "predictions_unavailable",
                "this service makes no predictions: set ESPALIER_PREDICTIONS_ENABLED=true where the API has the models and "
                "the train extra, or download the mask and use espalier.load_pruned",
            )
        if importlib.util.find_spec("torch") is None:
            raise NotPossibleError(
                "predictions_unavailable",
                "the API has no torch to predict with: pip install 'espalier-pruning[train]' where it runs, or download the mask "
                "and use espalier.load_pruned",
            )

    def predict(
        self,
        mask: Artifact,
        weights: Artifact | None,
        texts: Sequence[str | list[str]],
        pairs: Sequence[str] | None,
        owner: str = LOCAL,
        model_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """``value``, ``label``, ``probabilities`` and what else its kind of task has, of each text, pair or list of words.

        ``model_id``: of the mask's base where that is an uploaded model.

        Raises UnavailableError (too many requests wait, no response in time, the process ended), PermanentError where the texts
        are at fault, NotPossibleError where this service cannot use the mask, StorageUnavailableError where mask or weights
        cannot be read or do not match their digest, UploadedModelNotFoundError.
        """
        deadline = time.monotonic() + self._settings.predictions_seconds
        if not self._queue_slots.acquire(owner):
            raise UnavailableError("predictions_busy", "too many predictions are queued; try again", retry_after=BUSY_RETRY_SECONDS)
        try:
            if not self._lock.acquire(timeout=self._settings.predictions_seconds):
                raise self._timed_out()
            try:
                if deadline - time.monotonic() < min(self._answer_seconds, self._settings.predictions_seconds / 2):
                    raise self._timed_out()
                folder = self._mask_folder(mask, weights)
                request = {
                    "key": mask.sha256,
                    "mask": str(folder / MASK),
                    "weights": str(folder / WEIGHTS) if weights else None,
                    "model": str(self._model_folder(model_id)) if model_id is not None else None,
                    "texts": texts,
                    "pairs": pairs,
                }
                response = self._request(json.dumps(request).encode(), deadline)
            finally:
                self._lock.release()
        finally:
            self._queue_slots.release(owner)
        return _parse_response(response)

    def close(self) -> None:
        """End the process and remove the files. A request in progress fails."""
        if self._process is not None:
            self._process.close()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._mask_folders.clear()

    def _request(self, request: bytes, deadline: float) -> dict[str, Any]:
        for is_retry in (False, True):
            process = self._process if self._process is not None and self._process.is_alive else None
            is_new = process is None or is_retry
            if process is None or is_retry:
                environment = prediction_environment(os.environ, self._settings.trainer_threads)
                process = self._process = PredictionProcess(self._command(self._settings), environment)
            asked_at = time.monotonic()
            try:
                response: dict[str, Any] = json.loads(process.request(request, deadline))
                if self._process is process and not is_new:
                    self._answer_seconds = time.monotonic() - asked_at
                return response
            except PredictionTimeoutError:
                # a request with less than its whole time is late because of the queue; killing the process would make the next one
                # load again
                if process.busy_seconds >= _WHOLE * self._settings.predictions_seconds:
                    process.kill()
                    self._process = None
                raise self._timed_out() from None
            except ProcessEndedError as end:
                process.kill()
                self._process = None
                if end.code != 0 or is_retry:
                    raise UnavailableError(
                        "prediction_process_lost", f"the process that predicts ended ({end}); try again"
                    ) from end
                # it ended from idleness at this moment
        raise AssertionError("unreachable")

    def _timed_out(self) -> UnavailableError:
        seconds = self._settings.predictions_seconds
        return UnavailableError(
            "prediction_timeout", f"there was no prediction within {seconds:g} s; send fewer texts or try again"
        )

    def _files_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="espalier-predictions-"))
        return self._folder

    def _mask_folder(self, mask: Artifact, weights: Artifact | None) -> Path:
        """The folder with the files of a mask, copied if they are not there yet."""
        if mask.sha256 in self._mask_folders:
            self._mask_folders.move_to_end(mask.sha256)
            return self._mask_folders[mask.sha256]
        folder = Path(tempfile.mkdtemp(dir=self._files_folder()))
        try:
            for artifact, name in ((mask, MASK), (weights, WEIGHTS)):
                if artifact is not None:
                    self._copy(artifact, folder / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._mask_folders[mask.sha256] = folder
        if len(self._mask_folders) > self._settings.predictions_masks:
            shutil.rmtree(self._mask_folders.popitem(last=False)[1], ignore_errors=True)
        return folder

    def _model_folder(self, model_id: str) -> Path:
        """The folder with the files of an uploaded model, fetched if they are not there yet."""
        root = self._files_folder() / "models"
        root.mkdir(exist_ok=True)
        try:
            return fetch_model(self._database, root, model_id, self._settings.model_cache_bytes, write_verified)
        except CorruptDownloadError as error:
            raise StorageUnavailableError(f"{error} from the storage, a file of model {model_id}; try again") from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise UnavailableError("insufficient_storage", f"{error.strerror}; try again later") from error

    def _copy(self, artifact: Artifact, path: Path) -> None:
        chunks = store.iter_bytes(self._database, artifact.id)
        try:
            write_verified(chunks, path, sha256=artifact.sha256, size=artifact.size)
        except CorruptDownloadError as error:
            raise StorageUnavailableError(
                f"{artifact.name} of job {artifact.job_id} arrived damaged from the storage; try again"
            ) from error


def _parse_response(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The predictions; raises the error that the process responded with instead."""
    if "predictions" in response:
        predictions: list[dict[str, Any]] = response["predictions"]
        return predictions
    error = response["error"]
    if error["kind"] == "temporary":
        raise UnavailableError(error["code"], error["message"])
    if error["code"] in _TEXT_ERRORS:
        raise PermanentError(error["message"], code=error["code"], param="texts")
    raise NotPossibleError("predictions_unavailable", f"this service cannot use the mask: {error['message']}")
