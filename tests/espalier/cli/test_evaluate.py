"""``espalier evaluate`` and ``espalier evaluations``: what is asked for, printed and listed."""

import json
import threading

from typer.testing import CliRunner

from espalier.cli.main import app
from service.jobs import claims, queries
from service.jobs.fence import Fence
from service.states import JobKind
from tests.api.conftest import Jobs
from tests.espalier.cli.conftest import Run
from tests.waiting import wait_until

RESULT = {
    "primary_metric": "accuracy",
    "final": {"accuracy": 0.75, "f1": 0.5},
    "before": {"accuracy": 0.5, "f1": 0.25},
    "rows": 1234,
    "splits": ["test"],
    "dataset": "d",
    "config": None,
    "remaining": 0.5,
    "seconds": 1.0,
}


def finish_next(jobs: Jobs) -> None:
    """As a worker would, once there is an evaluation."""

    def queued() -> list[str]:
        with jobs.database.read() as session:
            return queries.page(session, limit=1, kind=JobKind.EVALUATION)[0]

    wait_until(lambda: bool(queued()), what="an evaluation")
    with jobs.database.write() as session:
        claimed = claims.claim(session, worker_id="w", lease_seconds=600)
        assert claimed is not None
        claims.succeed(session, Fence.from_row(claimed), result=RESULT, mask_artifact_id=None)


def test_an_evaluation_is_waited_for_and_its_metrics_are_printed(espalier: Run, jobs: Jobs) -> None:
    pruned = jobs.succeeded()
    worker = threading.Thread(target=finish_next, args=(jobs,))
    worker.start()
    printed = espalier("evaluate", pruned, "--split", "test", "--dense")
    worker.join()
    assert printed == "accuracy\t0.5000 → 0.7500\nf1\t0.2500 → 0.5000\nrows\t1234\n"
    listed = espalier("evaluations", pruned)
    assert "split test" in listed
    assert "1,234" in listed
    (made,) = json.loads(espalier("evaluations", pruned, "--json"))
    assert made["evaluation"] == {"dataset": None, "config": None, "split": "test", "rows": None, "dense": True}
    shown = espalier("show", made["id"])
    assert f"evaluates the mask of {pruned} on split test" in shown
    assert "accuracy 0.7500, f1 0.5000 on 1,234 rows of test" in shown
    assert "evaluation" in espalier("jobs")


def test_an_evaluation_is_left_to_the_service(espalier: Run, jobs: Jobs) -> None:
    pruned = jobs.succeeded()
    made = espalier("evaluate", pruned, "--dataset", "org/other", "--config", "en", "--rows", "5", "--detach").strip()
    job = json.loads(espalier("show", made, "--json"))
    assert job["evaluation"] == {"dataset": "org/other", "config": "en", "split": "validation", "rows": 5, "dense": False}
    assert espalier("show", made[:20]).count(made) >= 1, "a beginning of its id names it"
    assert "its validation rows" not in espalier("show", made)


def test_rows_are_at_least_one(url: str, jobs: Jobs) -> None:
    done = CliRunner().invoke(app, ["evaluate", jobs.succeeded(), "--rows", "0", "--url", url])
    assert done.exit_code == 2
