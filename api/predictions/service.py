"""Predictions with the masks of finished jobs: one process predicts for this one, requests take turns.

Called by ``routes.predictions``. Masks are copied from the database into a temporary folder, once each; the newest stay.
"""

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
from api.predictions.process import PredictionProcess, PredictionTimeoutError, ProcessEndedError, command, environment
from pruning.errors import PermanentError
from service.artifacts import store
from service.db.engine import Database
from service.db.models import Artifact
from service.settings import Settings

MASK, WEIGHTS = "mask.safetensors", "weights.safetensors"
BUSY_RETRY_SECONDS = 5
_USER_ERRORS = frozenset({"window_too_short"})
"""What the texts are to blame for; anything else that is wrong for good is this service's."""


class PredictionService:
    """Of one API process. Any thread may use it."""

    def __init__(
        self, settings: Settings, database: Database, arguments: Callable[[Settings], list[str]] = command
    ) -> None:
        self._settings = settings
        self._database = database
        self._arguments = arguments
        self._queue_slots = threading.BoundedSemaphore(settings.predictions_waiting)
        self._lock = threading.Lock()
        self._process: PredictionProcess | None = None
        self._folder: Path | None = None
        self._files: OrderedDict[str, Path] = OrderedDict()
        """Digest of a mask → the folder with its files; the one used last at the end."""

    def require_enabled(self) -> None:
        """Refuse where nothing can be predicted. Raises NotPossibleError, which says what to do."""
        if not self._settings.predicts:
            raise NotPossibleError(
                "predictions_unavailable",
                "this service makes no predictions: set ESPALIER_PREDICTIONS_ENABLED=true where the API has the models and "
                "the train extra, or download the mask and use espalier.load_pruned",
            )
        if importlib.util.find_spec("torch") is None:
            raise NotPossibleError(
                "predictions_unavailable",
                "the API has no torch to predict with: pip install 'espalier[train]' where it runs, or download the mask "
                "and use espalier.load_pruned",
            )

    def predict(
        self, mask: Artifact, weights: Artifact | None, texts: Sequence[str], pairs: Sequence[str] | None
    ) -> list[dict[str, Any]]:
        """``value``, ``label`` and ``probabilities`` of each text or pair.

        Raises UnavailableError (too many wait, no answer in time, the process died), PermanentError where the texts are to blame,
        NotPossibleError where this service cannot use the mask, and what reading the artifacts raises.
        """
        deadline = time.monotonic() + self._settings.predictions_seconds
        if not self._queue_slots.acquire(blocking=False):
            raise UnavailableError(
                "predictions_busy",
                "too many predictions wait for their turn; try again",
                retry_after=BUSY_RETRY_SECONDS,
            )
        try:
            if not self._lock.acquire(timeout=self._settings.predictions_seconds):
                raise self._timed_out()
            try:
                folder = self._mask_folder(mask, weights)
                question = {
                    "key": mask.sha256, "mask": str(folder / MASK), "weights": str(folder / WEIGHTS) if weights else None,
                    "texts": texts, "pairs": pairs,
                }  # fmt: skip
                answer = self._request(json.dumps(question).encode(), deadline)
            finally:
                self._lock.release()
        finally:
            self._queue_slots.release()
        return _parse_response(answer)

    def close(self) -> None:
        """End the process and forget the files. A request under way fails."""
        if self._process is not None:
            self._process.close()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._files.clear()

    def _request(self, question: bytes, deadline: float) -> dict[str, Any]:
        for fresh in (False, True):
            process = self._process if self._process is not None and self._process.alive else None
            if process is None or fresh:
                process = self._process = PredictionProcess(
                    self._arguments(self._settings), environment(os.environ, self._settings.trainer_threads)
                )
            try:
                answer: dict[str, Any] = json.loads(process.request(question, deadline))
                return answer
            except PredictionTimeoutError:
                process.kill()
                self._process = None
                raise self._timed_out() from None
            except ProcessEndedError as end:
                process.kill()
                self._process = None
                if end.code != 0 or fresh:
                    raise UnavailableError(
                        "prediction_process_lost", f"the process that predicts ended ({end}); try again"
                    ) from end
                # it had nothing to do for long and left at this very moment
        raise AssertionError("unreachable")

    def _timed_out(self) -> UnavailableError:
        seconds = self._settings.predictions_seconds
        return UnavailableError(
            "prediction_timeout", f"there was no prediction within {seconds:g} s; send fewer texts or try again"
        )

    def _mask_folder(self, mask: Artifact, weights: Artifact | None) -> Path:
        """The folder with the files of a mask, copied if they are not there yet."""
        if mask.sha256 in self._files:
            self._files.move_to_end(mask.sha256)
            return self._files[mask.sha256]
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="espalier-predictions-"))
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            for artifact, name in ((mask, MASK), (weights, WEIGHTS)):
                if artifact is not None:
                    with (folder / name).open("wb") as file:
                        file.writelines(store.iter_bytes(self._database, artifact.id))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._files[mask.sha256] = folder
        if len(self._files) > self._settings.predictions_masks:
            shutil.rmtree(self._files.popitem(last=False)[1], ignore_errors=True)
        return folder


def _parse_response(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The predictions, or the error that the answer is."""
    if "predictions" in answer:
        predictions: list[dict[str, Any]] = answer["predictions"]
        return predictions
    error = answer["error"]
    if error["kind"] == "temporary":
        raise UnavailableError(error["code"], error["message"])
    if error["code"] in _USER_ERRORS:
        raise PermanentError(error["message"], code=error["code"], param="texts")
    raise NotPossibleError("predictions_unavailable", f"this service cannot use the mask: {error['message']}")
