"""Prediction service: one process in turns; a late, dead or busy one becomes an error, and no process outlives the service."""

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from api.errors.exceptions import NotPossibleError, UnavailableError
from api.predictions import process
from api.predictions.service import PredictionService
from pruning.errors import PermanentError
from service.artifacts import store
from service.concurrency import ConcurrencyLimiter
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk
from service.errors import StorageUnavailableError
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.processes import is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

FAKE = Path(__file__).with_name("fake_prediction_process.py")
Make = Callable[..., PredictionService]


@pytest.fixture
def database_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """SQLite alone: the service only reads artifacts, which is tested with both databases elsewhere."""
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture
def make(settings: Settings, database: Database) -> Iterator[Make]:
    made: list[PredictionService] = []

    def build(**changes: Any) -> PredictionService:
        service = PredictionService(settings.model_copy(update=changes), database, lambda _: [sys.executable, str(FAKE)])
        made.append(service)
        return service

    yield build
    for service in made:
        service.close()


@pytest.fixture
def mask(jobs: Jobs, database: Database) -> Artifact:
    return stored(jobs, database, "one")


def stored(jobs: Jobs, database: Database, content: str) -> Artifact:
    job_id = jobs.running()
    jobs.artifact(job_id, content.encode())
    with database.read() as session:
        return store.get(session, job_id, "mask.safetensors")


def hurry(service: PredictionService, seconds: float) -> None:
    """Shorten its time limit, once its process runs."""
    service._settings = service._settings.model_copy(update={"predictions_seconds": seconds})


def pid_of(rows: list[dict[str, Any]]) -> int:
    return int(rows[0]["label"].split()[0])


def test_one_process_serves_all_requests_and_ends_with_the_service(make: Make, mask: Artifact) -> None:
    service = make()
    first = service.predict(mask, None, ["a", "b"], ["c", "d"])
    assert [row["label"].split()[1:] for row in first] == [["one", "c"], ["one", "d"]]
    second = service.predict(mask, None, ["e"], None)
    assert (second[0]["value"], pid_of(second)) == (1, pid_of(first))
    service.close()
    assert not is_alive(pid_of(first))
    assert service.predict(mask, None, ["e"], None)[0]["value"] == 0


def test_an_idle_process_that_ended_is_started_again(make: Make, mask: Artifact) -> None:
    service = make()
    left = pid_of(service.predict(mask, None, ["leave"], None))
    assert pid_of(service.predict(mask, None, ["a"], None)) != left


def test_a_process_that_dies_fails_one_request_alone(make: Make, mask: Artifact) -> None:
    service = make()
    with pytest.raises(UnavailableError, match="signal 9") as caught:
        service.predict(mask, None, ["die"], None)
    assert caught.value.code == "prediction_process_lost"
    assert len(service.predict(mask, None, ["a"], None)) == 1


def test_a_process_that_takes_too_long_is_killed(make: Make, mask: Artifact) -> None:
    service = make()
    hanging = pid_of(service.predict(mask, None, ["a"], None))
    hurry(service, 0.5)
    with pytest.raises(UnavailableError) as caught:
        service.predict(mask, None, ["hang"], None)
    assert caught.value.code == "prediction_timeout"
    assert not is_alive(hanging)


def test_more_requests_than_may_wait_are_refused_at_once(make: Make, mask: Artifact) -> None:
    service = make(predictions_waiting=1)
    service.predict(mask, None, ["a"], None)
    hurry(service, 1.0)
    refused: list[str] = []

    def hang() -> None:
        with pytest.raises(UnavailableError) as late:
            service.predict(mask, None, ["hang"], None)
        refused.append(late.value.code)

    thread = threading.Thread(target=hang)
    thread.start()
    wait_until(lambda: service._lock.locked(), seconds=30, what="the first one's turn")
    with pytest.raises(UnavailableError) as caught:
        service.predict(mask, None, ["a"], None)
    assert (caught.value.code, caught.value.retry_after) == ("predictions_busy", 5)
    thread.join()
    assert refused == ["prediction_timeout"]


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        ("error temporary out_of_memory", UnavailableError, "out_of_memory"),
        ("error permanent window_too_short", PermanentError, "window_too_short"),
        ("error permanent base_mismatch", NotPossibleError, "predictions_unavailable"),
    ],
)
def test_errors_of_the_process(make: Make, mask: Artifact, said: str, error: type[Exception], code: str) -> None:
    with pytest.raises(error, match="because") as caught:
        make().predict(mask, None, [said], None)
    assert caught.value.code == code  # type: ignore[attr-defined]


def test_files_of_masks_are_copied_once_and_the_oldest_removed(make: Make, jobs: Jobs, database: Database) -> None:
    service = make(predictions_masks=2)
    for content in ("one", "two", "two", "three"):
        assert content in service.predict(stored(jobs, database, content), None, ["a"], None)[0]["label"]
    assert service._folder is not None
    assert sorted(file.read_text() for file in service._folder.glob("*/*")) == ["three", "two"]
    folder = service._folder
    service.close()
    assert not folder.exists()


def test_closing_ends_a_request_in_progress(make: Make, mask: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CLOSE_SECONDS", 0.1)
    service = make()
    hanging = pid_of(service.predict(mask, None, ["a"], None))
    (folder,) = service._mask_folders.values()
    failed: list[str] = []

    def hang() -> None:
        with pytest.raises(UnavailableError) as lost:
            service.predict(mask, None, ["hang"], None)
        failed.append(lost.value.code)

    thread = threading.Thread(target=hang)
    thread.start()
    wait_until(lambda: [*folder.glob("*.hanging")], seconds=30, what="the request")
    service.close()
    thread.join(30)
    assert failed == ["prediction_process_lost"]
    assert not is_alive(hanging)


@pytest.mark.parametrize("damaged", ["mask.safetensors", "weights.safetensors"])
def test_a_file_that_does_not_match_its_digest_is_refused(make: Make, jobs: Jobs, database: Database, damaged: str) -> None:
    job_id = jobs.running()
    for name in ("mask.safetensors", "weights.safetensors"):
        jobs.artifact(job_id, b"right", name=name)
    with database.write() as session:
        files = {artifact.name: artifact for artifact in store.list_for_job(session, job_id)}
        session.execute(update(ArtifactChunk).where(ArtifactChunk.artifact_id == files[damaged].id).values(data=b"wrong"))
    mask, weights = files["mask.safetensors"], files["weights.safetensors"]
    service = make()
    with pytest.raises(StorageUnavailableError, match=f"{damaged}.*{job_id}"):
        service.predict(mask, weights, ["a"], None)
    assert service._folder is not None
    assert [*service._folder.rglob("*")] == []
    with database.write() as session:
        session.execute(update(ArtifactChunk).where(ArtifactChunk.artifact_id == files[damaged].id).values(data=b"right"))
    assert len(service.predict(mask, weights, ["a"], None)) == 1


def test_where_predictions_are_disabled(make: Make) -> None:
    with pytest.raises(NotPossibleError, match="ESPALIER_PREDICTIONS_ENABLED") as caught:
        make(predictions_enabled=False).require_enabled()
    assert caught.value.code == "predictions_unavailable"
    make(predictions_enabled=True).require_enabled()


@pytest.mark.parametrize(("first", "second", "is_asked"), [("sleep 2", "sleep 2", False), ("sleep 1", "sleep 4", True)])
def test_what_the_queue_makes_late_ends_no_process(make: Make, mask: Artifact, first: str, second: str, is_asked: bool) -> None:
    service = make()
    process = pid_of(service.predict(mask, None, ["a"], None))
    hurry(service, 3.0)
    thread = threading.Thread(target=lambda: service.predict(mask, None, [first], None))
    thread.start()
    wait_until(service._lock.locked, seconds=30, what="the first one's turn")
    with pytest.raises(UnavailableError) as late:
        service.predict(mask, None, [second], None)
    thread.join()
    assert late.value.code == "prediction_timeout"
    rows = service.predict(mask, None, ["b"], None)
    assert pid_of(rows) == process
    assert rows[0]["label"].endswith(" b"), "it got the response to another request"
    assert rows[0]["value"] == (3 if is_asked else 2), "the number of the request in its process"


def test_an_owner_has_half_of_the_places(make: Make, mask: Artifact) -> None:
    service = make()
    service._queue_slots = ConcurrencyLimiter(2, 1)
    assert service._queue_slots.acquire("one")
    with pytest.raises(UnavailableError) as caught:
        service.predict(mask, None, ["a"], None, "one")
    assert caught.value.code == "predictions_busy"
    assert len(service.predict(mask, None, ["a"], None, "another")) == 1


def test_a_process_that_ended_by_itself_is_no_zombie(make: Make, mask: Artifact) -> None:
    process = pid_of(make().predict(mask, None, ["leave"], None))
    wait_until(lambda: not Path(f"/proc/{process}").exists(), seconds=30, what="the end of the process")
