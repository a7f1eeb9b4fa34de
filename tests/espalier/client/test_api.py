"""Both clients against the real API over a socket, and over connections that break."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from espalier import AsyncClient, Client
from espalier.client._async import follow as aio_follow
from espalier.client._sync import follow
from espalier.errors import ApiError, JobNotSucceededError, UnreachableError
from service.db.engine import Database
from service.settings import Settings
from tests import patient_http
from tests.api.conftest import BODY, Jobs
from tests.espalier.cutting_proxy import cutting_proxy
from tests.espalier.sync_or_async import Kind, sync_or_async_client
from tests.services import free_port
from tests.serving import serving

CONTENT = bytes(range(256)) * 4000
both = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture(scope="module")
def database(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    file = tmp_path_factory.mktemp("api") / "espalier.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{file}")
    yield database
    database.dispose()


@pytest.fixture(scope="module")
def url(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=folder, database_url=database.url, webhook_allow_private=True, webhook_allow_http=True)
    with serving(create_app(settings)) as at:
        yield at


@pytest.fixture
def jobs(database: Database, tmp_path: Path) -> Jobs:
    return Jobs(database, tmp_path)


@pytest.fixture
def client(kind: Kind, url: str) -> Iterator[Any]:
    with sync_or_async_client(kind, url) as client:
        yield client


@both
def test_a_job_from_its_beginning_to_its_end(client: Any, jobs: Jobs) -> None:
    job = client.submit(**BODY, metadata={"team": "nlp"})
    assert client.get(job) == job
    assert [found.id for found in client.list(limit=1, metadata={"team": "nlp"}, status="queued")] == [job.id]
    assert client.page(limit=1).data == [job]
    assert client.pause(job).status == "paused"
    assert client.resume(job).status == "queued"
    with pytest.raises(ApiError) as refusal:
        client.delete(job)
    assert refusal.value.status == 409
    assert client.cancel(job).status == "cancelled"
    assert [seen.status for seen in client.watch(job)] == ["cancelled"]
    again = client.retry(job)
    assert (again.id != job.id, client.cancel(again).status, client.wait(again.id).ended) == (True, "cancelled", True)
    events = list(client.events(job))
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]
    assert len(client.log(job).splitlines()) == len(events)
    with pytest.raises(JobNotSucceededError, match=r"mask\.safetensors"):
        client.download(job)
    for each in (job, again):
        client.delete(each)
    with pytest.raises(ApiError) as gone:
        client.get(job)
    assert gone.value.code == "job_not_found"


def test_the_card_of_a_job_leads_to_its_page_and_report(url: str, jobs: Jobs) -> None:
    running = jobs.running()
    for step in (1, 2, 3):
        jobs.metrics(running, step, loss=1 / step)
    jobs.artifact(running, b"<p>a report</p>", "report.html")
    jobs.finish(running)
    with Client(url) as client:
        shown = client.get(running, curve=True)
        assert [row.values.loss for row in shown.curve or ()] == [1, 1 / 2, 1 / 3]
        assert shown.result is not None
        assert shown.result.final["accuracy"] == 0.9
        card = shown._repr_html_()
        assert "loss 1 → 0.333" in card
        page, report = re.findall(r'href="([^"]*)"', card)
        assert running in patient_http.get(page).raise_for_status().text
        assert patient_http.get(report).raise_for_status().content == b"<p>a report</p>"
        listed = next(job for job in client.list(status="succeeded") if job.id == running)
        assert (listed.page_url, repr(listed)) == (page, repr(client.get(running)))


@both
def test_exports_of_a_finished_job(client: Any, jobs: Jobs) -> None:
    done = jobs.succeeded()
    export = client.export(done, ["csr", "onnx"], priority=4)
    assert (export.export_of, export.exports, export.status) == (done, ["csr", "onnx"], "queued")
    assert client.export(done, ["onnx"]).id == export.id
    assert list(client.exports(done)) == [export]
    assert export.id not in [job.id for job in client.list()]
    assert [job.id for job in client.list(kind="export")] == [export.id]
    client.delete(done)
    with pytest.raises(ApiError) as gone:
        client.get(export)
    assert gone.value.code == "job_not_found"


@both
def test_evaluations_of_a_finished_job(client: Any, jobs: Jobs) -> None:
    done = jobs.succeeded()
    asked = client.evaluate(done, split="test", rows=10, dense=True, priority=4)
    assert (asked.evaluation_of, asked.kind, asked.export_of, asked.status) == (done, "evaluation", None, "queued")
    assert asked.evaluation == {"dataset": None, "config": None, "split": "test", "rows": 10, "dense": True}
    assert "on split test, the first 10 rows" in repr(asked)
    assert list(client.evaluations(done)) == [asked]
    assert [job.id for job in client.list(kind="evaluation")] == [asked.id]
    with pytest.raises(ApiError, match=done) as refusal:
        client.predict(asked, "a text")
    assert refusal.value.code in ("job_has_no_mask", "predictions_unavailable")
    client.cancel(asked)
    assert client.retry(asked).evaluation == asked.evaluation
    client.delete(done)


@both
def test_tasks_methods_and_secrets(client: Any) -> None:
    assert "sst2" in {task.name for task in client.tasks()}
    assert [method.name for method in client.methods() if method.default] == ["smp-s"]
    with pytest.raises(ApiError) as refusal:
        client.submit(model="m", task="no-such-task", colour="green")
    assert (refusal.value.status, refusal.value.param) == (422, "task")
    assert re.fullmatch(r"task: unknown task \"no-such-task\"; .*; colour: there is no field colour.*", str(refusal.value))
    assert not client.hub_token().set
    assert client.set_hub_token("hf_0123456789").set
    client.delete_hub_token()
    assert not client.hub_token().set


@both
def test_data_sets_and_sweeps(client: Any, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("body,queue\nhelp,open\nthanks,shut\n")
    made = client.upload_dataset(name="tickets", train=tmp_path / "rows.csv", validation=tmp_path / "rows.csv")
    assert made in list(client.datasets())
    assert client.dataset(made.id) == made
    assert client.dataset_rows(made, limit=1) == [{"body": "help", "queue": "open"}]
    client.delete_dataset(made)
    sweep = client.sweep(**BODY, sparsities=[0.5, 0.9])
    assert client.get_sweep(sweep).jobs["queued"] == 2
    assert sweep.id in [found.id for found in client.sweeps()]
    assert client.sweep_csv(sweep).count("\n") == 3
    assert client.sweep_plot(sweep, tmp_path / "plot.svg").read_text().startswith("<?xml")
    client.cancel_sweep(sweep)
    assert [seen.ended for seen in client.watch_sweep(sweep)] == [True]
    client.delete_sweep(sweep)


@both
def test_webhooks(client: Any) -> None:
    made = client.create_webhook("http://127.0.0.1:9999/hook", ["job.failed"])
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert [hook.id for hook in client.webhooks()] == [made.id]
    assert client.webhook_deliveries(made) == []
    assert not client.disable_webhook(made).enabled
    assert client.enable_webhook(made).enabled
    assert client.rotate_webhook(made).secret != made.secret
    assert client.webhook(made.id).secret is None
    client.delete_webhook(made)
    assert list(client.webhooks()) == []


@both
def test_an_interrupted_download_continues(kind: Kind, url: str, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.running()
    jobs.artifact(job, CONTENT, "report.html", chunk_bytes=65_536)
    reported: list[tuple[int, int]] = []
    with cutting_proxy(url, 300_000, 300_000) as network, sync_or_async_client(kind, network.url) as client:
        path = client.download(job, "report.html", tmp_path / "mine", report=lambda *now: reported.append(now))
    assert path.read_bytes() == CONTENT
    assert network.connections >= 3
    assert reported[-1] == (len(CONTENT), len(CONTENT))
    assert [have for have, _ in reported] == sorted(have for have, _ in reported), "nothing was fetched twice"
    jobs.finish(job)


@both
def test_live_events_neither_miss_nor_repeat(kind: Kind, url: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (follow, aio_follow):
        monkeypatch.setattr(module, "PAUSE_SECONDS", (0.01, 0.01))
    job = jobs.running()
    for number in range(20):
        jobs.event(job, "log", message=f"line\u2028{number}")
    seen = []
    with cutting_proxy(url, 900, 2500) as network, sync_or_async_client(kind, network.url) as client:
        for event in client.events(job, live=True):
            seen.append(event)
            if event.data.get("message") == "line\u202819":
                threading.Thread(target=jobs.finish, args=(job,)).start()  # what is yet to come arrives too
        rest = list(client.events(job, after=seen[-2].seq, live=True))
        assert list(client.events(job)) == seen
    assert network.connections >= 3
    assert [event.seq for event in seen] == [*range(1, len(seen) + 1)]
    assert rest == seen[-1:]


@both
def test_a_service_that_cannot_be_reached(kind: Kind) -> None:
    with sync_or_async_client(kind, f"http://127.0.0.1:{free_port()}", retries=0) as client:
        with pytest.raises(UnreachableError):
            client.submit(**BODY)
        with pytest.raises(UnreachableError):
            list(client.events("job_1", live=True, patience=0))


def test_concurrent_requests_and_an_abandoned_stream(url: str, jobs: Jobs) -> None:
    async def main() -> list[str]:
        async with AsyncClient(url) as client:
            fields: dict[str, Any] = BODY
            made = await asyncio.gather(*(client.submit(**fields, seed=seed) for seed in range(8)))
            stream: Any = client.events(made[0], live=True)
            async with aclosing(stream) as events:
                async for _ in events:
                    break
            ended = await asyncio.gather(*(client.cancel(job) for job in made))
            return [job.status for job in ended]

    assert asyncio.run(main()) == ["cancelled"] * 8
