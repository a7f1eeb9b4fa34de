"""Toys of every shape with a mask each, made once."""

from pathlib import Path

import pytest

from tests import toy_architectures, toy_models
from tests.pruning.export.factories import make_mask


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models directory: ``bert`` … (toy_architectures.ALL)."""
    folder = tmp_path_factory.mktemp("models")
    for shape in toy_architectures.ALL:
        toy_architectures.make_model(folder / shape, shape)
    return folder


@pytest.fixture(scope="session")
def masks(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bert.safetensors`` …, of a tenth of the weights."""
    folder = tmp_path_factory.mktemp("masks")
    for shape in toy_models.SHAPES:
        make_mask(folder / f"{shape}.safetensors", models / shape)
    return folder
