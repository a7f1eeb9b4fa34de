"""Data sets: upload, list, read, delete; jobs are accepted only on data sets that fit."""

import asyncio
import gzip
import io
import json
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient
from pyarrow import parquet

from api.request import deps
from service.access import api_keys
from service.concurrency import ConcurrencyLimiter
from service.db.engine import Database
from service.db.models import LOCAL
from tests.api.conftest import BODY, Jobs
from tests.api.problems import Response, assert_problem

TRAIN = b"body,queue\nhelp me,open\nthanks,shut\n"
DEV = b'{"body": "hello", "queue": "open"}\n'
TASK = {"text": ["body"], "label": "queue", "labels": ["open", "shut"]}
Upload = Callable[..., Response]


def send(client: TestClient, train: bytes = TRAIN, dev: bytes = DEV, **options: Any) -> Response:
    files: dict[str, Any] = {"train": ("train.csv", train), "validation": ("dev.jsonl", dev)}
    return client.post("/v1/datasets", files=files, **options)


def test_upload_get_and_read_rows(client: TestClient) -> None:
    answer = send(client, data={"name": "tickets"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{made['id']}"
    assert (made["name"], [(split["name"], split["rows"]) for split in made["splits"]]) == (
        "tickets",
        [("train", 2), ("validation", 1)],
    )
    assert made["splits"][0]["columns"][1] == {
        "name": "queue",
        "kinds": {"text": 2},
        "values": ["open", "shut"],
        "entries": None,
        "holds": None,
    }
    assert client.get(answer.headers["location"]).json() == made
    assert client.get("/v1/datasets").json() == {"data": [made], "has_more": False, "next_cursor": None}
    url = f"{answer.headers['location']}/rows"
    first = client.get(url, params={"limit": 1}).json()
    assert first == {"data": [{"body": "help me", "queue": "open"}], "has_more": True, "next_cursor": "1"}
    rest = client.get(url, params={"after": first["next_cursor"]}).json()
    assert rest == {"data": [{"body": "thanks", "queue": "shut"}], "has_more": False, "next_cursor": None}
    assert client.get(url, params={"split": "validation"}).json()["data"][0]["body"] == "hello"
    assert_problem(client.get(url, params={"split": "test"}), 404, "split_not_found")


def test_the_same_rows_are_the_same_data_set(client: TestClient) -> None:
    first = send(client)
    jsonl = b"".join(
        json.dumps(row).encode() + b"\n" for row in ({"queue": "open", "body": "help me"}, {"queue": "shut", "body": "thanks"})
    )
    files: dict[str, Any] = {"train": ("x", jsonl, "application/jsonl"), "validation": ("dev.ndjson", DEV)}
    again = client.post("/v1/datasets", files=files, data={"name": "other"})
    assert (again.status_code, again.json()) == (200, first.json())
    assert send(client, dev=DEV * 2).json()["id"] != first.json()["id"]
    assert len(client.get("/v1/datasets").json()["data"]) == 2
    page = client.get("/v1/datasets", params={"limit": 1}).json()
    assert client.get("/v1/datasets", params={"after": page["next_cursor"]}).json()["data"] == [first.json()]


def test_files_too_large_for_memory_are_read_from_disk(client: TestClient) -> None:
    """The form's parser keeps a megabyte of each in memory."""
    rows = [{"body": f"{n} " + "x" * 2000, "queue": "open"} for n in range(1000)]
    table = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), table, compression="none", use_dictionary=False)
    assert table.tell() > 2_000_000
    jsonl = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    ids = set()
    for name, content in (("a.parquet", table.getvalue()), ("a.jsonl", jsonl), ("a.jsonl.gz", gzip.compress(jsonl, 0))):
        answer = client.post("/v1/datasets", files={"train": (name, content)})
        assert answer.is_success, answer.text
        ids.add(answer.json()["id"])
    assert len(ids) == 1


def test_uploads_at_the_same_time_are_one(client: TestClient, database: Database) -> None:
    responses: list[Response] = []
    threads = [threading.Thread(target=lambda: responses.append(send(client))) for _ in range(deps.MAX_RECEIVED_PER_OWNER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({answer.json()["id"] for answer in responses}) == 1
    assert sorted(answer.status_code for answer in responses)[-1] == 201
    assert len(client.get("/v1/datasets").json()["data"]) == 1


def test_uploads_have_idempotency_keys(client: TestClient) -> None:
    key = {"Idempotency-Key": "upload-1"}
    first = send(client, headers=key)
    again = send(client, headers=key)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, first.json(), "true")
    assert_problem(send(client, dev=DEV * 2, headers=key), 422, "idempotency_key_reused")
    assert len(client.get("/v1/datasets").json()["data"]) == 1


def test_every_fault_is_reported_with_its_row(client: TestClient) -> None:
    answer = send(client, train=b"body,queue\na\nb,1\nc,2,3\n", dev=b"{")
    errors = assert_problem(answer, 422, "dataset_invalid")["errors"]
    assert [(fault["parameter"], fault["row"]) for fault in errors] == [("train", 1), ("train", 3), ("validation", 1)]
    assert client.get("/v1/datasets").json()["data"] == []


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"files": {"train": ("a.zip", b"x")}}, 415, "unsupported_media_type"),
        ({"content": b"a,b\n", "headers": {"Content-Type": "text/csv"}}, 415, "unsupported_media_type"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "malformed_body"),
        ({"files": {"../x": ("a.csv", TRAIN)}}, 422, "dataset_invalid"),
        ({"files": {"name": ("a.csv", TRAIN)}}, 422, "dataset_invalid"),
        ({"files": [("train", ("a.csv", TRAIN)), ("train", ("b.csv", TRAIN))]}, 422, "dataset_invalid"),
        ({"files": {"train": ("a.csv", TRAIN)}, "data": {"name": "x" * 101}}, 422, "dataset_invalid"),
        ({"files": {"train": ("a.csv", TRAIN)}, "data": {"train": "text"}}, 422, "dataset_invalid"),
        ({"files": [(f"s{i}", ("a.csv", TRAIN)) for i in range(9)]}, 400, "malformed_body"),
    ],
)
def test_forms_that_cannot_be_used(strict_client: TestClient, form: dict[str, Any], status: int, code: str) -> None:
    assert_problem(strict_client.post("/v1/datasets", **form), status, code)


def test_limits(client_with: Callable[..., TestClient]) -> None:
    client = client_with(max_dataset_bytes=2000)
    assert_problem(send(client, train=b"body,queue\n" + b"x" * 3000 + b",1\n"), 413, "body_too_large")
    assert_problem(send(client, train=b"body,queue\n" + b"x" * 100_000 + b",1\n"), 413, "body_too_large")
    slots: ConcurrencyLimiter = client.app.state.services.upload_slots  # type: ignore[attr-defined]
    for _ in range(deps.MAX_RECEIVED_PER_OWNER):
        assert slots.acquire(LOCAL)  # every refusal above gave its slot back
    assert assert_problem(send(client), 503, "too_many_uploads")
    slots.release(LOCAL)
    assert send(client).status_code == 201


def test_a_disk_that_is_full(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert_problem(send(client), 503, "insufficient_storage")


def test_jobs_on_a_data_set(client: TestClient, jobs: Jobs) -> None:
    dataset = send(client).json()["id"]
    task = TASK | {"dataset": dataset}
    job = client.post("/v1/jobs", json=BODY | {"task": task})
    assert job.status_code == 202, job.text
    assert_problem(client.delete(f"/v1/datasets/{dataset}"), 409, "dataset_in_use")
    for change, code, pointer in (
        ({"text": ["subject"]}, "column_missing", "/task/text/0"),
        ({"labels": ["open", "done"]}, "labels_mismatch", "/label_words"),
        ({"validation_split": "dev"}, "split_missing", "/task/validation_split"),
        ({"dataset": "ds_" + "0" * 32}, "dataset_not_found", "/task/dataset"),
    ):
        fault = assert_problem(client.post("/v1/jobs", json=BODY | {"task": task | change}), 422, code)["errors"][0]
        assert fault["pointer"] == pointer
    assert len(client.get("/v1/jobs").json()["data"]) == 1
    assert job.json()["spec"]["validation_share"] is None

    client.post(f"/v1/jobs/{job.json()['id']}/cancel")
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert_problem(client.get(f"/v1/datasets/{dataset}"), 404, "dataset_not_found")
    assert_problem(client.get("/v1/datasets/ds_x"), 404, "dataset_not_found")
    assert_problem(client.post(f"/v1/jobs/{job.json()['id']}/retry"), 404, "dataset_not_found")


def test_data_sets_belong_to_their_owner(client_with: Callable[..., TestClient], database: Database) -> None:
    client = client_with(require_keys=True)
    with database.write() as session:
        ann, ben = ({"Authorization": f"Bearer {api_keys.create(session, name=owner, owner=owner)[1]}"} for owner in ("ann", "ben"))
    url = send(client, headers=ann).headers["location"]
    for answer in (client.get(url, headers=ben), client.get(f"{url}/rows", headers=ben), client.delete(url, headers=ben)):
        assert_problem(answer, 404, "dataset_not_found")
    assert client.get("/v1/datasets", headers=ben).json()["data"] == []
    task = TASK | {"dataset": url.rpartition("/")[2]}
    assert_problem(client.post("/v1/jobs", json=BODY | {"task": task}, headers=ben), 422, "dataset_not_found")
    assert client.post("/v1/jobs", json=BODY | {"task": task}, headers=ann).status_code == 202
    assert send(client, headers=ben).headers["location"] != url


def test_a_slow_sender_holds_a_slot_of_its_owner_alone(client_with: Callable[..., TestClient], database: Database) -> None:
    client = client_with(require_keys=True)
    with database.write() as session:
        ben = {"Authorization": f"Bearer {api_keys.create(session, name='ben', owner='ben')[1]}"}
    services = client.app.state.services  # type: ignore[attr-defined]
    slots: ConcurrencyLimiter = services.upload_slots
    assert sum(slots.acquire("ann") for _ in range(deps.MAX_RECEIVED)) == deps.MAX_RECEIVED_PER_OWNER
    assert send(client, headers=ben).status_code == 201


def test_an_upload_that_does_not_arrive_is_given_up(client_with: Callable[..., TestClient]) -> None:
    client = client_with(upload_seconds=1)
    form = b'--x\r\nContent-Disposition: form-data; name="train"; filename="a.csv"\r\n\r\n'

    async def drip() -> Any:
        yield form
        while True:
            await asyncio.sleep(0.2)
            yield b"a"

    async def post() -> Response:
        transport = ASGITransport(client.app)  # the application that the client has
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as sender:
            return await sender.post("/v1/datasets", content=drip(), headers=headers)

    assert_problem(asyncio.run(asyncio.wait_for(post(), 60)), 408, "upload_too_slow")
    services = client.app.state.services  # type: ignore[attr-defined]
    slots: ConcurrencyLimiter = services.upload_slots
    assert sum(slots.acquire("local") for _ in range(deps.MAX_RECEIVED)) == deps.MAX_RECEIVED_PER_OWNER


def test_what_was_decided_on_reading_is_shown(client: TestClient) -> None:
    comma = send(client).json()
    answer = send(client, train=b";body;queue\n0;help me;open\n1;thanks;shut\n")
    assert (answer.status_code, answer.json()["id"]) == (200, comma["id"])
    notes = answer.json()["splits"][0]["notes"]
    assert ["semicolon" in note or "column 1" in note for note in notes] == [True, True]
    assert comma["splits"][0]["notes"] == []


def test_rows_are_unpacked_piece_by_piece(client: TestClient) -> None:
    """12 MB of rows from some kilobytes; a page has at most 8 MiB of them."""
    rows = b"".join(b'{"body": "' + b"x" * 4_000_000 + b'", "queue": "%d"}\n' % n for n in range(3))
    url = client.post("/v1/datasets", files={"train": ("a.jsonl", rows)}).headers["location"]
    pages, after = [], "0"
    while after is not None:
        page = client.get(f"{url}/rows", params={"after": after}).json()
        pages.append([row["queue"] for row in page["data"]])
        after = page["next_cursor"]
    assert pages == [["0", "1"], ["2"]]
