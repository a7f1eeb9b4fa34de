"""Model folders kept next to the repository, if there are any: each is loaded or refused as its kind requires."""

from pathlib import Path

import pytest

from pruning.errors import PermanentError
from pruning.hub.models import ModelFolder
from pruning.models.checks import check_class_names, check_model_folder
from pruning.models.loading import load_model

CASES = Path(__file__).parents[4] / "shared" / "cases" / "models"
REFUSED = {
    ("deberta_new_head", "label-words"): "model_head_missing",
    ("missing_final_norm", "classifier"): "model_weights_incomplete",
    ("missing_final_norm", "label-words"): "model_weights_incomplete",
    ("more_ids_than_rows", "classifier"): "tokenizer_mismatch",
    ("more_ids_than_rows", "label-words"): "tokenizer_mismatch",
    ("spm_only", "classifier"): "model_weights_missing",
}
LOADED = {
    ("deberta_new_head", "classifier"),
    ("fifty_positions", "label-words"),
    ("labels_cpp_c_csharp", "classifier"),
    ("llama2_tokenizer", "label-words"),
    ("pad_id_differs", "classifier"),
    ("tied_under_decoder", "classifier"),
    ("tied_under_decoder", "label-words"),
}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no folders in {CASES.parent}")


@pytest.mark.parametrize(("name", "head"), sorted(REFUSED))
def test_a_folder_is_refused_from_its_headers(name: str, head: str) -> None:
    with pytest.raises(PermanentError) as caught:
        check_model_folder(CASES / name, ("terrible", "great"), head)
    assert caught.value.code == REFUSED[name, head]


@pytest.mark.parametrize(("name", "head"), sorted(LOADED))
def test_a_folder_that_is_accepted_loads(name: str, head: str) -> None:
    check_model_folder(CASES / name, ("terrible", "great"), head)
    loaded = load_model(ModelFolder(CASES / name, None), ("terrible", "great"), head)
    assert not loaded.decoder_only or loaded.model.config.pad_token_id == loaded.tokenizer.pad_token_id


def test_classes_that_differ_in_signs_alone_are_three() -> None:
    check_class_names(CASES / "labels_cpp_c_csharp", ("C", "C#", "C++"), 3)
    with pytest.raises(PermanentError):
        check_class_names(CASES / "labels_cpp_c_csharp", ("C", "D", "C++"), 3)
