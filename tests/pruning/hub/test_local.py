"""Names that are looked up in a local directory: found inside of it, and never outside."""

from pathlib import Path

import pytest

from pruning.errors import PermanentError
from pruning.hub.local import find_folder, is_one_slip, require_folder, similar_name
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
    with pytest.raises(PermanentError) as caught:
        require_folder(None, "x", kind="dataset", param="task")
    assert (caught.value.code, caught.value.param) == ("dataset_not_found", "task")
    with pytest.raises(PermanentError) as caught:
        require_folder(tmp_path / "a", "x")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert require_folder(tmp_path, "a") == tmp_path / "a"


@pytest.mark.parametrize(
    ("name", "meant", "one"),
    [
        ("minilm-l6-mml", "minilm-l6-mlm", True),  # swapped
        ("minilm-l6-ml", "minilm-l6-mlm", True),
        ("minilm-l6-mlmm", "minilm-l6-mlm", True),
        ("ninilm-l6-mlm", "minilm-l6-mlm", True),
        ("bert-base-cased", "bert-base-uncased", False),
        ("a", "a", False),
        ("ab", "cd", False),
        ("", "a", True),
    ],
)
def test_a_typing_error_is_distinguished_from_another_name(name: str, meant: str, one: bool) -> None:
    assert is_one_slip(name, meant) is one
    assert is_one_slip(meant, name) is one


def test_a_name_like_a_folders_is_asked_for(tmp_path: Path) -> None:
    make_model(tmp_path / "minilm-l6-mlm")
    make_model(tmp_path / "org" / "small-bert")
    assert similar_name(tmp_path, "minilm-l6-mml") == "minilm-l6-mlm"
    assert similar_name(tmp_path, "org/smal-bert") == "org/small-bert"
    assert similar_name(tmp_path, "something-else") is None
    assert similar_name(None, "x") is None
    with pytest.raises(PermanentError, match='"minilm-l6-mlm"') as caught:
        require_folder(tmp_path, "minilm-l6-mml")
    assert caught.value.code == "model_not_found"
