"""Check of uploaded models: in a process of its own, which is ended where a tokenizer costs too much, and once for each use."""

import json
from pathlib import Path

import pytest

from api.submission import uploaded_models
from api.uploads.model_check import CheckedModel, ModelUse, check_confined
from pruning.errors import PermanentError
from tests.model_folders import make_model

MEMORY = 1024**3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model(tmp_path / "toy")


def change_tokenizer(folder: Path, **parts: object) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def test_what_the_files_say_and_what_is_refused(folder: Path) -> None:
    assert check_confined(folder, ModelUse(), MEMORY).model_type == "bert"
    with pytest.raises(PermanentError) as caught:
        check_confined(folder, ModelUse("label-words", ("great", "unheard")), MEMORY)
    assert (caught.value.code, caught.value.param) == ("label_word_unknown", "label_words.1")


@pytest.mark.slow
def test_a_tokenizer_whose_rules_need_too_much_memory_is_ended(folder: Path) -> None:
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    change_tokenizer(folder, normalizer={"type": "Sequence", "normalizers": [double] * 40})
    assert check_confined(folder, ModelUse(), MEMORY).model_type == "bert"  # it is only read
    with pytest.raises(PermanentError) as caught:
        check_confined(folder, ModelUse("label-words", ("great", "terrible")), 256 * 1024**2)
    assert (caught.value.code, caught.value.param) == ("model_files_invalid", "model")


def test_a_check_that_takes_too_long_is_ended(folder: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        check_confined(folder, ModelUse(param="teacher"), MEMORY, seconds=0)
    assert (caught.value.code, caught.value.param) == ("model_files_invalid", "teacher")


def test_a_use_is_checked_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[ModelUse] = []

    def check(_: Path, use: ModelUse, __: int) -> CheckedModel:
        checked.append(use)
        if use.label_words:
            raise PermanentError("no", code="label_word_unknown", param="label_words.0")
        return CheckedModel("bert", None)

    monkeypatch.setattr(uploaded_models, "check_confined", check)
    model, words = "mdl_" + "c" * 32, ModelUse("label-words", ("one",))
    for _ in range(2):
        uploaded_models.check_uploaded(model, MEMORY, folder, ModelUse())
        with pytest.raises(PermanentError) as caught:
            uploaded_models.check_uploaded(model, MEMORY, folder, words)
        assert caught.value.code == "label_word_unknown"
    uploaded_models.check_uploaded("mdl_" + "d" * 32, MEMORY, folder, ModelUse())
    assert checked == [ModelUse(), words, ModelUse()]
