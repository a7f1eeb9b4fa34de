"""Artifact downloads against a reference of bytes: whole, in part, conditional."""

import base64
import hashlib
import random

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from service.db.engine import Database
from service.db.models import Artifact, Job, StoredObject
from tests import services
from tests.api.conftest import Jobs
from tests.api.problems import assert_problem

CONTENT = bytes(random.Random(0).randbytes(100))
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'
OTHER = '"' + "0" * 64 + '"'


@pytest.fixture
def url(jobs: Jobs) -> str:
    job_id = jobs.running(method="smp-l", sparsity=0.97)
    jobs.artifact(job_id, CONTENT, chunk_bytes=7)
    return f"/v1/jobs/{job_id}/artifacts/mask.safetensors"


def test_whole(client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    job_id = url.split("/")[3]
    expected = {
        "etag": ETAG,
        "repr-digest": f"sha-256=:{digest}:",
        "accept-ranges": "bytes",
        "content-length": "100",
        "content-type": "application/octet-stream",
        "content-disposition": f'attachment; filename="sst2_smp-l_0.97_{job_id}_mask.safetensors"',
        "x-content-type-options": "nosniff",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in expected} == expected
    assert client.head(url, headers={"Range": "bytes=200-"}).status_code == 200


def test_every_range_at_and_around_the_chunks_edges(client: TestClient, url: str) -> None:
    edges = (0, 6, 7, 8, 97, 98, 99)
    for start in edges:
        for end in [end for end in (*edges, 100) if end >= start]:
            answer = client.get(url, headers={"Range": f"bytes={start}-{end}"})
            part = CONTENT[start : end + 1]
            assert (answer.status_code, answer.content) == (206, part)
            assert answer.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/100"
            assert answer.headers["content-length"] == str(len(part))


def test_a_file_in_an_object_storage(client: TestClient, jobs: Jobs, database: Database, storage_url: str) -> None:
    job_id = jobs.running()
    jobs.artifact(job_id, CONTENT, storage_url=storage_url)
    url = f"/v1/jobs/{job_id}/artifacts/mask.safetensors"
    whole = client.get(url)
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, CONTENT, ETAG)
    for start, end in ((0, 0), (6, 8), (0, 99), (98, 200)):
        answer = client.get(url, headers={"Range": f"bytes={start}-{end}"})
        assert (answer.status_code, answer.content) == (206, CONTENT[start : end + 1])
    away = f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"
    with database.write() as session:
        session.execute(update(StoredObject).values(storage=away))
    assert client.head(url).status_code == 200
    assert_problem(client.get(url), 503, "storage_unavailable")


@pytest.mark.parametrize(("header", "part"), [("bytes=93-", CONTENT[93:]), ("bytes=-8", CONTENT[-8:]), ("bytes=-500", CONTENT)])
def test_open_ranges(client: TestClient, url: str, header: str, part: bytes) -> None:
    answer = client.get(url, headers={"Range": header})
    assert (answer.status_code, answer.content) == (206, part)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_ranges_behind_the_end(client: TestClient, url: str, header: str) -> None:
    answer = client.get(url, headers={"Range": header})
    assert_problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */100"


@pytest.mark.parametrize("header", ["bytes=5-1", "bytes=0-1,5-6", "lines=0-1", "nonsense"])
def test_other_ranges_give_the_whole(client: TestClient, url: str, header: str) -> None:
    answer = client.get(url, headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_resuming_takes_the_rest_only_of_the_same_file(client: TestClient, url: str) -> None:
    same = client.get(url, headers={"Range": "bytes=60-", "If-Range": ETAG})
    assert (same.status_code, CONTENT[:60] + same.content) == (206, CONTENT)
    for other in (OTHER, f"W/{ETAG}"):
        answer = client.get(url, headers={"Range": "bytes=60-", "If-Range": other})
        assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f"{OTHER}, W/{ETAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304),
        ({"If-None-Match": OTHER}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": OTHER}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
    ],
)
def test_conditions(client: TestClient, url: str, headers: dict[str, str], status: int) -> None:
    answer = client.get(url, headers=headers)
    assert answer.status_code == status
    if status == 304:
        assert (answer.content, answer.headers["etag"]) == (b"", ETAG)
    if status == 412:
        assert_problem(answer, 412, "artifact_changed")


def test_an_empty_file(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    jobs.artifact(job_id, b"", name="report.html")
    url = f"/v1/jobs/{job_id}/artifacts/report.html"
    answer = client.get(url)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert_problem(client.get(url, headers={"Range": "bytes=0-"}), 416, "range_not_satisfiable")


def test_listing(client: TestClient, url: str) -> None:
    listing = client.get(url.rsplit("/", 1)[0]).json()
    assert listing == {
        "data": [
            {
                "name": "mask.safetensors",
                "media_type": "application/octet-stream",
                "bytes": 100,
                "sha256": ETAG.strip('"'),
                "url": url,
            }
        ],
        "has_more": False,
        "next_cursor": None,
    }


@pytest.mark.parametrize("name", ["other.safetensors", "..%2Fmask.safetensors", "%00", "-x", "a" * 101])
def test_unknown_names(client: TestClient, url: str, name: str) -> None:
    answer = client.get(f"{url.rsplit('/', 1)[0]}/{name}")
    assert answer.status_code == 404
    assert answer.json()["code"] in {"artifact_not_found", "route_not_found"}


def test_an_incomplete_file_is_not_there(client: TestClient, url: str, database: Database) -> None:
    with database.write() as session:
        job = session.get(Job, url.split("/")[3])
        assert job is not None
        session.add(Artifact(job_id=job.id, attempt=1, name="half", media_type="x/y", size=9, sha256="0" * 64, chunk_bytes=4))
    assert_problem(client.get(url.replace("mask.safetensors", "half")), 404, "artifact_not_found")


def test_a_custom_tasks_name_is_made_fit_for_a_file(client: TestClient, jobs: Jobs) -> None:
    task = {"dataset": "org/my.set", "text": ["t"], "label_words": ["a", "b"]}
    job_id = jobs.running(task=task)
    jobs.artifact(job_id, b"x")
    answer = client.get(f"/v1/jobs/{job_id}/artifacts/mask.safetensors")
    assert f'filename="org-my.set_smp-s_0.9_{job_id}_mask.safetensors"' in answer.headers["content-disposition"]


def test_a_report_is_shown_by_a_browser_and_everything_else_is_saved(client: TestClient, jobs: Jobs) -> None:
    """Jobs put names of users into reports: shown in a sandbox, a page can do nothing in the name of this service."""
    job_id = jobs.running()
    for name, shown in (("report.html", "inline"), ("other.html", "attachment")):
        jobs.artifact(job_id, b"<script>alert(1)</script>", name)
        headers = client.get(f"/v1/jobs/{job_id}/artifacts/{name}").headers
        assert headers["content-disposition"].partition(";")[0] == shown
        assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
