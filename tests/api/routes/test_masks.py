"""Uploaded masks: both forms are read and checked, listed, named by jobs as their start, deleted."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pruning.formats.convert import convert
from pruning.spec.schema import PruningSpec
from service.db.engine import Database
from tests.api.conftest import BODY
from tests.api.problems import Response, assert_problem
from tests.api.protected_app import Keyring
from tests.pruning.formats.test_mask_file import masks_of, rewritten, written

pytestmark = pytest.mark.slow

FURTHER = {**BODY, "sparsity": 0.97}


def send(client: TestClient, file: Path | bytes, **options: Any) -> Response:
    data = file if isinstance(file, bytes) else file.read_bytes()
    return client.post("/v1/masks", files={"file": ("mask", data)}, **options)


def test_a_mask_is_uploaded_in_either_form_and_shown(client: TestClient, tmp_path: Path) -> None:
    packed = written(tmp_path)
    answer = send(client, packed, data={"name": "mine"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    masks = masks_of()
    about = {"base_model": "org/base", "task": "sst2", "head": "label-words", "method": "smp-s", "pattern": "unstructured"}
    counts = {"weights": sum(mask.size for mask in masks.values()), "kept": sum(int(mask.sum()) for mask in masks.values())}
    assert made == made | about | counts | {"name": "mine", "size": packed.stat().st_size, "base_digest": "0" * 64}
    assert answer.headers["location"] == f"/v1/masks/{made['id']}"
    assert client.get(answer.headers["location"]).json() == made
    again = send(client, packed)
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    compact = send(client, convert(packed, tmp_path / "mask.espalier")).json()
    assert {name: compact[name] for name in counts} == counts
    assert [each["id"] for each in client.get("/v1/masks").json()["data"]] == [compact["id"], made["id"]]


def test_what_is_no_mask_is_refused_and_nothing_is_stored(client: TestClient, tmp_path: Path) -> None:
    whole = written(tmp_path).read_bytes()
    other_shapes = rewritten(tmp_path / "mask.safetensors", metadata={"shapes": '{"a": [3, 3]}'}).read_bytes()
    for data in (b"", b"no mask", whole[:-1], other_shapes):
        assert_problem(send(client, data), 422, "mask_invalid")
    two = [("file", ("a", whole)), ("file", ("b", whole))]
    assert client.post("/v1/masks", files=two).status_code in (400, 422)
    assert client.get("/v1/masks").json()["data"] == []


def test_a_file_larger_than_allowed_is_refused(client_with: Any, tmp_path: Path) -> None:
    client = client_with(max_mask_bytes=1024)
    assert_problem(send(client, b"x" * 2000), 422, "mask_invalid")
    assert send(client, b"x" * 100_000).status_code == 413


def test_a_job_starts_from_it_and_it_stays_for_so_long(client: TestClient, tmp_path: Path) -> None:
    mask = send(client, written(tmp_path)).json()["id"]
    job = client.post("/v1/jobs", json={**FURTHER, "init_from": mask})
    assert job.status_code == 202, job.text
    assert job.json()["spec"]["init_from"] == mask
    assert_problem(client.delete(f"/v1/masks/{mask}"), 409, "mask_in_use")
    client.post(f"/v1/jobs/{job.json()['id']}/cancel")
    retry = client.post(f"/v1/jobs/{job.json()['id']}/retry")
    assert retry.json()["spec"]["init_from"] == mask
    client.post(f"/v1/jobs/{retry.json()['id']}/cancel")
    assert client.delete(f"/v1/masks/{mask}").status_code == 204
    assert_problem(client.get(f"/v1/masks/{mask}"), 404, "uploaded_mask_not_found")
    assert_problem(client.post(f"/v1/jobs/{retry.json()['id']}/retry"), 404, "uploaded_mask_not_found")
    (fault,) = assert_problem(client.post("/v1/jobs", json={**FURTHER, "init_from": mask}), 422, "start_missing")["errors"]
    assert fault["pointer"] == "/init_from"


@pytest.mark.parametrize(
    ("change", "code"), [({"head": "classifier"}, "base_mismatch"), ({"pattern": "2:4", "sparsity": 0.5}, "pattern_unfit")]
)
def test_another_head_or_pattern_is_refused(client: TestClient, tmp_path: Path, change: dict[str, Any], code: str) -> None:
    mask = send(client, written(tmp_path)).json()["id"]
    assert_problem(client.post("/v1/jobs", json={**FURTHER, "init_from": mask, **change}), 422, code)


def test_others_cannot_start_from_it(client_with: Any, database: Database, tmp_path: Path) -> None:
    client, keys = client_with(require_keys=True), Keyring(database)
    mask = send(client, written(tmp_path), headers=keys.header_of("a")).json()["id"]
    asked = client.post("/v1/jobs", json={**FURTHER, "init_from": mask}, headers=keys.header_of("b"))
    assert_problem(asked, 422, "start_missing")


def test_a_mask_of_a_method_that_is_not_installed_here_is_taken(client: TestClient, tmp_path: Path) -> None:
    spec = PruningSpec(model="org/base", task="sst2").model_copy(update={"method": "not-installed"})
    made = send(client, written(tmp_path, spec=spec)).json()
    assert made["method"] == "not-installed"
    assert client.post("/v1/jobs", json={**FURTHER, "init_from": made["id"]}).status_code == 202


def test_one_that_is_deleted_during_the_submission_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.submission.admission.check_start_job", lambda *_: None)  # it was there at the time of the check
    assert_problem(client.post("/v1/jobs", json={**FURTHER, "init_from": "msk_" + "0" * 32}), 422, "start_missing")
