"""Files that are complete and right under their name, or absent."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pruning.files import CorruptDownloadError, atomic_write, new_folder, require_new_folder, write_verified

DATA = b"0123456789" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()


def chunks() -> Iterator[bytes]:
    for start in range(0, len(DATA), 999):
        yield DATA[start : start + 999]


def test_a_file_takes_its_name_once_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with atomic_write(target) as draft:
        draft.write_text("new")
        assert not target.exists()
        assert draft.name.startswith(".file.")
    assert [*tmp_path.iterdir()] == [target]
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new", 0o644)


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def interrupted() -> None:
        with atomic_write(target, prefix=".unfinished-") as draft:
            assert draft.name.startswith(".unfinished-")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [*tmp_path.iterdir()] == [target]
    assert target.read_text() == "old"


@pytest.mark.parametrize("size", [len(DATA), None])
def test_what_arrives_as_it_was_stored_is_kept(tmp_path: Path, size: int | None) -> None:
    write_verified(chunks(), tmp_path / "file", sha256=SHA256, size=size)
    assert (tmp_path / "file").read_bytes() == DATA


@pytest.mark.parametrize(("sha256", "size"), [("0" * 64, len(DATA)), (SHA256, len(DATA) - 1), ("", None)])
def test_anything_else_is_refused_and_removed(tmp_path: Path, sha256: str, size: int | None) -> None:
    with pytest.raises(CorruptDownloadError, match=r"^file "):
        write_verified(chunks(), tmp_path / "file", sha256=sha256, size=size)
    assert not [*tmp_path.iterdir()]


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> Iterator[bytes]:
        yield b"some"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_verified(fails(), tmp_path / "file", sha256=SHA256)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_a_folder_takes_its_name_once_it_is_complete(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "deep" / "folder"
    if exists:
        target.mkdir(parents=True)
    with new_folder(target) as draft:
        (draft / "file").write_text("new")
        assert not (target / "file").exists()
    assert [file.name for file in target.iterdir()] == ["file"]
    assert target.stat().st_mode & 0o777 == 0o755
    assert [*target.parent.iterdir()] == [target]


def test_an_interrupted_folder_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with new_folder(tmp_path / "folder") as draft:
            (draft / "file").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("full", FileExistsError, "not empty"),
        ("file", FileExistsError, "not a folder"),
        ("file/below", NotADirectoryError, "file is not a folder"),
        ("/proc/none/below", OSError, "No such file"),
    ],
)
def test_a_folder_that_could_not_be_written_is_refused_and_nothing_is_left(
    tmp_path: Path, name: str, kind: type[OSError], words: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=words):
        require_new_folder(tmp_path / name)
    with pytest.raises(kind, match=words), new_folder(tmp_path / name):
        pytest.fail("the block was entered")
    require_new_folder(tmp_path / "free")
    assert sorted(tmp_path.rglob("*")) == before
