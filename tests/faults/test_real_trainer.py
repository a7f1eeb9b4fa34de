"""The real trainer is killed at each of its failpoints, resumed, and ends with the mask of an uninterrupted run."""

from pathlib import Path

import pytest

from pruning.failpoints import AT, ONCE, Failpoint
from pruning.formats import mask_file
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from service import failpoints
from service.artifacts import store
from service.artifacts.s3 import open_bucket
from service.states import Status
from tests.faults.conftest import MakeCluster, embedded_only
from tests.pruning.runs import FIELDS, arguments_of, fork, make_sources
from tests.waiting import wait_until
from worker.files import checkpoint_store
from worker.files.checkpoint_store import Interruption

SPEC = {"checkpoint_every": 4}
ARTIFACT = Path("artifacts") / "mask.safetensors"


def content(file: Path) -> tuple[dict[str, bytes], mask_file.MaskInfo]:
    """Every bit of the masks, and what is said of them. The files differ in the order of their metadata."""
    masks, info = mask_file.read(file)
    return {name: mask.tobytes() for name, mask in masks.items()}, info


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def undisturbed(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> object:
    """The mask of an uninterrupted run."""
    work = tmp_path_factory.mktemp("undisturbed") / "work"
    assert fork(arguments_of(work, SPEC, sources), work.parent).finish().code == 0
    return content(work / ARTIFACT)


@pytest.mark.parametrize("point", list(Failpoint))
def test_kill_and_resumption(sources: Sources, undisturbed: object, tmp_path: Path, point: Failpoint) -> None:
    work = tmp_path / "work"
    variables = {AT: str(point), ONCE: str(tmp_path / "died")}
    before = f"import os; os.environ.update({variables!r})"
    spec = {**SPEC, "baseline": point is Failpoint.BASELINE_STEP}
    dead = fork(arguments_of(work, spec, sources), tmp_path / "1", before=before).finish()
    assert dead.code == -9
    ended = fork(arguments_of(work, spec, sources), tmp_path / "2", before=before).finish()
    assert ended.code == 0, ended.stderr
    assert content(work / ARTIFACT) == undisturbed
    assert not list((work / "checkpoints").glob(".writing-*"))
    started = next(event for event in ended.events if event.event == "started")
    if point in (Failpoint.PREPARED, Failpoint.CHECKPOINT_BEGUN, Failpoint.CHECKPOINT_WRITTEN):
        assert started.resumed_from == 0
    elif point is Failpoint.CHECKPOINT_NAMED:
        assert started.resumed_from == 4
    elif point is Failpoint.BASELINE_STEP:  # a checkpoint after the last step is waited for before it begins
        assert started.resumed_from == FIELDS["max_steps"]
    else:  # the checkpoint of step 8 is written while the last steps run, and the process may die before it is
        assert started.resumed_from in (4, 8)


def test_resumption_from_the_object_storage(sources: Sources, undisturbed: object, tmp_path: Path, storage_url: str) -> None:
    """The host that the trainer died on is gone, with its disk; what was copied from it is enough."""
    first, second, bucket = tmp_path / "first", tmp_path / "second", open_bucket(storage_url)
    before = f"import os; os.environ.update({ {AT: str(Failpoint.TRAINED)}!r})"
    assert fork(arguments_of(first, SPEC, sources), tmp_path / "1", before=before).finish().code == -9
    checkpoint_store.upload(bucket, "job_x", first / "checkpoints", Interruption(lambda: False))
    (second / "checkpoints").mkdir(parents=True)
    assert checkpoint_store.fetch(bucket, "job_x", second / "checkpoints", Interruption(lambda: False)) is not None
    ended = fork(arguments_of(second, SPEC, sources), tmp_path / "2").finish()
    assert ended.code == 0, ended.stderr
    assert content(second / ARTIFACT) == undisturbed
    assert next(event for event in ended.events if event.event == "started").resumed_from in (4, 8)


@embedded_only
def test_another_host_resumes_after_worker_and_trainer_are_killed(
    make_cluster: MakeCluster, sources: Sources, undisturbed: object, tmp_path: Path
) -> None:
    """On another host, which shares nothing but the checkpoints, the job is resumed."""
    cluster = make_cluster(
        models_dir=sources.models_dir, datasets_dir=sources.datasets_dir, hub_enabled=False, checkpoint_dir=tmp_path / "shared"
    )
    spec = PruningSpec.model_validate({**FIELDS, **SPEC}).model_dump(mode="json")
    job_id = cluster.submit(spec=spec)
    cluster.start_worker(failpoints.Failpoint.ARTIFACT_COMMITTED).wait(seconds=120)
    cluster.expire_leases()
    cluster.start_worker(ESPALIER_DATA_DIR=str(tmp_path / "another-host"), ESPALIER_BROKER_URL="filesystem://")
    job = cluster.wait_for_status(job_id, Status.SUCCEEDED, seconds=120)
    with cluster.database.read() as session:
        mask = store.get(session, job_id, "mask.safetensors")
    (tmp_path / "mask").write_bytes(b"".join(store.iter_bytes(cluster.database, mask.id)))
    assert content(tmp_path / "mask") == undisturbed
    assert (job.attempt, job.attempts_spent) == (2, 1)
    wait_until(lambda: not list((tmp_path / "shared").iterdir()), what="the clearing away of the checkpoints")
    cluster.start_worker()  # the first host is back, and clears its own folder away
    assert cluster.finish().all == []
