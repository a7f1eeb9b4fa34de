"""Comparison of jobs: what is averaged, what is distinguished and how, and the panels of the figure."""

from itertools import count
from typing import Any

import pytest

from api.pages import job_summary
from api.pages.comparison import Row, compare, panels
from api.schemas.jobs import Job
from service.jobs import queries
from tests.api.conftest import BODY, Jobs


@pytest.fixture
def job(jobs: Jobs) -> Any:
    """Makes a job with a spec, and with a score if it has one."""
    template = jobs.queued()
    with jobs.database.read() as session:
        row = queries.get(session, template)
        known = Job.from_row(row, [], None, paused_days=1, root_path="")

    number = count(1)

    def make(score: float | None = None, metric: str = "accuracy", **spec: Any) -> Job:
        full = {**BODY, "method": "smp-s", "sparsity": 0.9, "seed": 1, "learning_rate": 0.02, **spec}
        result = {"primary_metric": metric, "before": {metric: 0.5}, "final": {metric: score}, "remaining": 0.12}
        return known.model_copy(
            update={
                "id": f"job_{next(number)}",
                "spec": full,
                "result": None if score is None else result,
                "status": "queued" if score is None else "succeeded",
            }
        )

    return make


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_seeds_are_averaged(job: Any) -> None:
    (panel,) = panels([job(0.8), job(0.9, seed=2), job(0.7, seed=3, learning_rate=0.1), job(0.6, sparsity=0.5)])
    assert [line.label for line in panel.lines] == ["smp-s, learning_rate 0.02", "smp-s, learning_rate 0.1"]
    first, second = panel.lines
    assert [(mean.sparsity, mean.runs, mean.metric) for mean in first.means] == [(0.5, 1, 0.6), (0.9, 2, pytest.approx(0.85))]
    assert (first.means[1].lowest, first.means[1].highest, first.means[1].remaining) == (0.8, 0.9, pytest.approx(0.12))
    assert [mean.metric for mean in second.means] == [0.7]
    assert (panel.metric, panel.dense, panel.fine_tuned) == ("accuracy", 0.5, None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_fine_tuned_dense_model_is_the_mean_of_the_jobs_that_have_it(job: Any) -> None:
    jobs = [job(0.8), job(0.9, seed=2), job(0.7, seed=3), job()]
    for one, value in zip(jobs, (0.94, 0.96), strict=False):
        one.result["baseline"] = {"metrics": {"accuracy": value}}
    (panel,) = panels(jobs)
    assert (panel.dense, panel.fine_tuned) == (0.5, pytest.approx(0.95))
    metrics = [job_summary.main_metric(one) for one in jobs[:3]]
    assert [metric and metric.fine_tuned for metric in metrics] == [0.94, 0.96, None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_panel_for_each_task_and_a_line_for_each_model(job: Any) -> None:
    found = panels([job(0.8), job(0.7, task="mrpc", metric="f1"), job(model="other", method="magnitude")])
    assert [(panel.caption.title, panel.metric, len(panel.lines)) for panel in found] == [
        ("sst2", "accuracy", 2),
        (f"{BODY['model']} · mrpc", "f1", 1),
    ]
    assert [line.label for line in found[0].lines] == [f"smp-s, model {BODY['model']}", "magnitude, model other"]
    assert found[0].dense is None
    assert found[0].caption.note == "1 of 2 jobs ended"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rows_tell_what_differs_within_a_model_task_and_method(job: Any) -> None:
    rows = compare([job(0.8), job(0.8, seed=2), job(0.8, task="mrpc", seed=3), job(method="magnitude", seed=4)]).rows
    assert [[*row.differing] for row in rows] == [[("seed", "1")], [("seed", "2")], [], []]
    assert [row.reached for row in rows] == [pytest.approx(0.88)] * 3 + [None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_is_live_and_another_one_while_jobs_move(job: Any) -> None:
    waiting, done = compare([job()]), compare([job(0.8)])
    assert (waiting.is_live, done.is_live, waiting.ended, done.ended) == (True, False, 0, 1)
    assert waiting.version != done.version
    assert not type(done)([Row(None, "smp-s", 0.5, ())]).is_live
