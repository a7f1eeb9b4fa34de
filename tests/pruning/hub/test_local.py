"""Names that are looked up in a local directory: found inside of it, and never outside."""

from pathlib import Path

import pytest

from pruning.errors import PermanentError
from pruning.hub.local import find_folder, require_folder
from tests.model_folders import make_model


def test_find_folder_stays_inside(tmp_path: Path) -> None:
    models = tmp_path / "models"
    make_model(models / "org" / "small")
    make_model(tmp_path / "models-other" / "x")
    assert find_folder(models, "org/small") == models / "org" / "small"
    for name in ("small", "../models-other/x", "..", ".", "", "org/../../models-other/x", str(tmp_path)):
        assert find_folder(models, name) is None
    assert find_folder(None, "org/small") is None
    assert find_folder(tmp_path / "nowhere", "org") is None


def test_find_folder_follows_an_administrators_link(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "linked").symlink_to(make_model(tmp_path / "disk" / "m"))
    assert find_folder(tmp_path / "models", "linked") is not None


def test_require_folder_names_what_there_is(tmp_path: Path) -> None:
    for name in "abcdefg":
        (tmp_path / name).mkdir()
    with pytest.raises(PermanentError, match=r"a, b, c, d, e, \.\.\.") as caught:
        require_folder(tmp_path, "x")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(PermanentError, match="no datasets directory") as caught:
        require_folder(None, "x", kind="dataset", param="task")
    assert (caught.value.code, caught.value.param) == ("dataset_not_found", "task")
    with pytest.raises(PermanentError, match="is empty"):
        require_folder(tmp_path / "a", "x")
    assert require_folder(tmp_path, "a") == tmp_path / "a"
