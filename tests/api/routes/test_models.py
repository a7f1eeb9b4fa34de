"""Uploaded models: files or a zip, checked as local folders are, listed, downloaded, named by jobs, deleted."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.db.engine import Database
from tests.api.conftest import BODY
from tests.api.problems import Response, assert_problem
from tests.api.protected_app import Keyring
from tests.model_folders import make_model

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model(tmp_path / "toy")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def send(client: TestClient, files: dict[str, bytes], **options: Any) -> Response:
    return client.post("/v1/models", files=[("file", (name, data)) for name, data in files.items()], **options)


def zipped(entries: dict[str, bytes], change: Any = None) -> dict[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if change is not None:
                change(entry)
            archive.writestr(entry, data)
    return {"toy.zip": packed.getvalue()}


def test_a_model_is_uploaded_shown_and_read_in_ranges(client: TestClient, folder: Path) -> None:
    files = contents(folder)
    answer = send(client, files, data={"name": "mine"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["id"].startswith("mdl_")
    assert (made["name"], made["model_type"], made["size"]) == ("mine", "bert", sum(map(len, files.values())))
    assert {file["name"] for file in made["files"]} == set(files)
    assert answer.headers["location"] == f"/v1/models/{made['id']}"
    assert client.get(answer.headers["location"]).json() == made
    (listed,) = client.get("/v1/models").json()["data"]
    assert (listed["name"], listed["title"], listed["problem"]) == (made["id"], "mine", None)
    url = f"{answer.headers['location']}/files/model.safetensors"
    assert client.get(url).content == files["model.safetensors"]
    part = client.get(url, headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, files["model.safetensors"][3:10])
    assert_problem(client.get(url.replace("model.safetensors", "other.json")), 404, "uploaded_model_not_found")


def test_the_same_files_are_the_same_model_also_as_a_zip(client: TestClient, folder: Path) -> None:
    files = contents(folder)
    first = send(client, files).json()
    for packed in (zipped(files), zipped({f"toy/{name}": data for name, data in files.items()})):
        again = send(client, packed)
        assert (again.status_code, again.json()["id"]) == (200, first["id"])


def test_a_repeated_request_gets_the_first_answer(client: TestClient, folder: Path) -> None:
    files, key = contents(folder), {"Idempotency-Key": "one"}
    first, again = (send(client, files, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (201, 201, "true")
    other = {**files, "added_tokens.json": b"{}"}
    assert_problem(send(client, other, headers=key), 422, "idempotency_key_reused")


def _encrypted(entry: zipfile.ZipInfo) -> None:
    entry.flag_bits |= 1


def _link(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = 0o120777 << 16


@pytest.mark.parametrize(
    "packed",
    [
        {"toy.zip": b"no zip"},
        zipped({"../config.json": b"{}"}),
        zipped({"/config.json": b"{}"}),
        zipped({"a/config.json": b"{}", "b/config.json": b"{}"}),
        zipped({"config.json": b"{}"}, _link),
        zipped({f"{number}.json": b"{}" for number in range(401)}),
        zipped({"config.json": b"0" * 70_000_000}),
        {**zipped({"config.json": b"{}"}), "config.json": b"{}"},
        zipped({"config.json": b"{}", "run.py": b""}),
        zipped({"config.json": b"{}", "pytorch_model.bin": b""}),
        {"Config.json": b"{}", "config.json": b"{}"},
        {"run.sh": b""},
    ],
    ids=["none", "up", "root", "two folders", "link", "many", "bomb", "and files", "code", "pickle", "case", "other"],
)
def test_what_is_no_model_folder_is_refused(client: TestClient, packed: dict[str, bytes]) -> None:
    assert_problem(send(client, packed), 422, "model_files_invalid")
    assert client.get("/v1/models").json()["data"] == []


def test_a_zip_that_says_another_size_than_it_unpacks_to_is_refused(client: TestClient, folder: Path) -> None:
    (packed,) = zipped({"config.json": b"0" * 1000}).values()
    size, lie = (1000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert packed.count(size) == 2
    assert_problem(send(client, {"toy.zip": packed.replace(size, lie)}), 422, "model_files_invalid")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr("config.json", b"[]")
    assert_problem(send(client, {"toy.zip": packed.getvalue()}), 422, "model_files_invalid")
    twice = [("file", ("config.json", b"{}"))] * 2
    assert_problem(client.post("/v1/models", files=twice), 422, "model_files_invalid")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"config.json": None}, "model_config_missing"),
        ({"config.json": b'{"model_type": "t5"}'}, "model_type_unsupported"),
        ({"config.json": None, "adapter_config.json": b"{}"}, "model_adapter"),
        ({"quantize_config.json": b"{}"}, "model_quantized"),
        ({"model.safetensors": None}, "model_weights_missing"),
        ({"model.safetensors": b"\xff" * 100}, "model_weights_corrupt"),
        ({"tokenizer.json": None}, "tokenizer_missing"),
        ({"tokenizer.json": b"{"}, "tokenizer_invalid"),
    ],
)
def test_an_upload_is_checked_as_a_local_folder_is(
    client: TestClient, folder: Path, change: dict[str, bytes | None], code: str
) -> None:
    files = {**contents(folder), **change}
    assert_problem(send(client, {name: data for name, data in files.items() if data is not None}), 422, code)
    assert client.get("/v1/models").json()["data"] == []


def test_a_job_names_it_and_is_checked_with_its_files(client: TestClient, folder: Path) -> None:
    model = send(client, contents(folder)).json()["id"]
    accepted = client.post("/v1/jobs", json={**BODY, "model": model})
    assert accepted.status_code == 202, accepted.text
    words = {**BODY, "model": model, "label_words": ["terrible", "unheard"]}
    assert_problem(client.post("/v1/jobs", json=words), 422, "label_word_unknown")
    assert_problem(client.post("/v1/jobs", json={**BODY, "model": model, "revision": "main"}), 422, "revision_not_found")
    missing = "mdl_" + "0" * 32
    assert_problem(client.post("/v1/jobs", json={**BODY, "model": missing}), 422, "model_not_found")
    assert_problem(client.delete(f"/v1/models/{model}"), 409, "model_in_use")
    client.post(f"/v1/jobs/{accepted.json()['id']}/cancel")
    assert client.delete(f"/v1/models/{model}").status_code == 204
    assert_problem(client.get(f"/v1/models/{model}"), 404, "uploaded_model_not_found")
    assert_problem(client.post("/v1/jobs", json={**BODY, "model": model}), 422, "model_not_found")


def test_each_owner_has_models_of_their_own(client_with: Callable[..., TestClient], database: Database, folder: Path) -> None:
    client, keys, made = client_with(require_keys=True), Keyring(database), {}
    for owner in ("ann", "ben"):
        made[owner] = send(client, contents(folder), headers=keys.header_of(owner)).json()["id"]
    assert made["ann"] != made["ben"]
    theirs = f"/v1/models/{made['ann']}"
    assert_problem(client.get(theirs, headers=keys.header_of("ben")), 404, "uploaded_model_not_found")
    assert_problem(client.delete(theirs, headers=keys.header_of("ben")), 404, "uploaded_model_not_found")
    for field in ("model", "teacher"):
        body = {**BODY, "model": made["ben"], field: made["ann"]}
        refused = assert_problem(client.post("/v1/jobs", json=body, headers=keys.header_of("ben")), 422, "model_not_found")
        assert refused["errors"][0]["pointer"] == f"/{field}"
    listed = client.get("/v1/models", headers=keys.header_of("ben")).json()["data"]
    assert [model["name"] for model in listed] == [made["ben"]]
