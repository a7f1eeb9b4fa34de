"""Shipped model and data set of the demo: small, reproducible, and accepted by the demo's job."""

import gzip
import json
from pathlib import Path

import pytest

import demo
from demo.make.build import build_data, build_tokenizer
from demo.settings import HUB_SPEC, SHIPPED_MODEL, SHIPPED_SPEC
from pruning.data.local_check import check_dataset
from pruning.models.checks import check_model_folder
from pruning.spec.schema import PruningSpec

HERE = Path(demo.__file__).parent
MODEL = HERE / "models" / SHIPPED_MODEL
DATA = HERE / "datasets" / "reviews"


def rows(folder: Path, split: str) -> list[dict[str, object]]:
    with gzip.open(folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_model_and_data_set_are_small() -> None:
    files = [file for folder in (MODEL, DATA) for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 6_000_000


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    folder = tmp_path_factory.mktemp("rebuilt")
    return folder, build_data(folder)


def test_the_data_set_is_reproducible(rebuilt: tuple[Path, set[str]]) -> None:
    for split in ("train", "validation"):
        assert rows(rebuilt[0], split) == rows(DATA, split)


def test_the_vocabulary_is_reproducible(rebuilt: tuple[Path, set[str]]) -> None:
    vocabulary = build_tokenizer(rebuilt[1]).get_vocab()
    shipped = (MODEL / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert shipped == sorted(vocabulary, key=lambda token: vocabulary[token])


def test_rows_are_balanced_and_unique() -> None:
    train, validation = rows(DATA, "train"), rows(DATA, "validation")
    sentences = [row["sentence"] for row in (*train, *validation)]
    assert len(set(sentences)) == len(sentences)
    for split in (train, validation):
        positive = sum(row["label"] == 1 for row in split)
        assert positive * 2 == len(split)


def test_the_demo_job_is_accepted_on_them() -> None:
    spec = PruningSpec.model_validate(SHIPPED_SPEC)
    check_model_folder(MODEL, spec.label_words, spec.head)
    check_dataset(DATA, spec.task)
    PruningSpec.model_validate(HUB_SPEC)
