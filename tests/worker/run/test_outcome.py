"""Classification of trainers that ended and of errors of the worker into outcomes."""

import errno
import signal
from typing import Any

import pytest

from pruning.events import ErrorEvent, ExitCode, FinishedEvent
from service.errors import (
    ArtifactNotFoundError,
    DatasetNotFoundError,
    QuotaExceededError,
    SecretsUnavailableError,
    StartMaskNotFoundError,
    StorageUnavailableError,
)
from service.states import JobKind
from worker.run.outcome import (
    ATTEMPT_ERRORS,
    Failed,
    InvalidArtifactError,
    Outcome,
    ProcessExit,
    StopReason,
    classify,
    classify_error,
)

FINISHED = FinishedEvent(metrics={})
PERMANENT = ErrorEvent(kind="permanent", code="model_head_missing", message="no head", param="model")
MASK, EXPORTS, EVALUATION = {"mask.safetensors": 1}, {"exports.json": 1}, {"evaluation.json": 1}


def ended(returncode: int = 0, **known: Any) -> ProcessExit:
    """A trainer of which only ``known`` is known."""
    unknown: dict[str, Any] = {"stop": None, "error": None, "finished": None, "stored": {}, "stderr_tail": ""}
    return ProcessExit(returncode, **{**unknown, **known})


@pytest.mark.parametrize(
    ("process_exit", "outcome"),
    [
        (ended(finished=FINISHED, stored=MASK), Outcome.SUCCEEDED),
        (ended(finished=FINISHED, stored=EXPORTS, kind=JobKind.EXPORT), Outcome.SUCCEEDED),
        (ended(finished=FINISHED, stored=EVALUATION, kind=JobKind.EVALUATION), Outcome.SUCCEEDED),
        (ended(-signal.SIGSEGV, finished=FINISHED, stored=MASK), Outcome.SUCCEEDED),
        (ended(80, stop=StopReason.CANCEL, finished=FINISHED, stored=MASK), Outcome.SUCCEEDED),
        (ended(80, stop=StopReason.LEASE_LOST, finished=FINISHED, stored=MASK), Outcome.ABANDONED),
        (ended(ExitCode.PERMANENT, stop=StopReason.CANCEL, error=PERMANENT), Outcome.CANCELLED),
        (ended(80, stop=StopReason.PAUSE), Outcome.PAUSED),
        (ended(-signal.SIGKILL, stop=StopReason.SHUTDOWN), Outcome.REQUEUED),
    ],
)
def test_ends_that_are_no_failure(process_exit: ProcessExit, outcome: Outcome) -> None:
    assert classify(process_exit) is outcome


def test_a_permanent_error_outlives_a_shutdown() -> None:
    failed = classify(ended(ExitCode.PERMANENT, stop=StopReason.SHUTDOWN, error=PERMANENT))
    assert failed == Failed("model_head_missing", "no head", kind="user", param="model")


def test_a_mask_does_not_prove_an_export() -> None:
    failed = classify(ended(finished=FINISHED, stored=MASK, kind=JobKind.EXPORT))
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable) == ("trainer_bug", False)
    assert "exports.json" in failed.message


def test_advice_fits_the_kind_of_job() -> None:
    training, exporting, evaluating = (classify(ended(-signal.SIGKILL, kind=kind)) for kind in JobKind)
    assert "batch_size" in str(training)
    assert "exports" in str(exporting)
    assert " rows" in str(evaluating)


def test_a_later_reason_to_stop_replaces_a_weaker_one() -> None:
    assert StopReason.CANCEL.outranks(StopReason.PAUSE)
    assert StopReason.LEASE_LOST.outranks(StopReason.CANCEL)
    assert not StopReason.STALL.outranks(StopReason.SHUTDOWN)


@pytest.mark.parametrize(
    ("error", "code", "kind", "retryable"),
    [
        (DatasetNotFoundError("gone"), "dataset_not_found", "user", False),
        (ArtifactNotFoundError("gone"), "artifact_not_found", "user", False),
        (StartMaskNotFoundError("job_gone"), "start_missing", "user", False),
        (QuotaExceededError("full"), "quota_exceeded", "user", False),
        (InvalidArtifactError("lies"), "trainer_bug", "system", False),
        (StorageUnavailableError("away"), "storage_unavailable", "system", True),
        (SecretsUnavailableError("key"), "secrets_unavailable", "system", True),
        (OSError(errno.ENOSPC, "full"), "insufficient_storage", "system", True),
        (PermissionError(errno.EACCES, "no"), "worker_environment", "system", True),
    ],
)
def test_errors_of_the_worker(error: Exception, code: str, kind: str, retryable: bool) -> None:
    assert isinstance(error, ATTEMPT_ERRORS)
    failed = classify_error(error)
    assert (failed.code, failed.kind, failed.retryable) == (code, kind, retryable)
    assert str(error) in failed.message
