"""``python -m pruning export`` from outside: exit code and last line of an export that cannot be made."""

from pathlib import Path

import pytest

from pruning.sources import Sources
from tests.pruning.export.factories import make_mask
from tests.pruning.runs import fork, make_sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def test_an_export_that_cannot_be_made_ends_with_65_and_figures_that_say_why(sources: Sources, tmp_path: Path) -> None:
    assert sources.models_dir is not None
    mask = make_mask(tmp_path / "mask.safetensors", sources.models_dir / "bert")
    ended = fork(
        [
            "export",
            "--mask",
            str(mask),
            "--to",
            "semi-structured",
            "--out",
            str(tmp_path / "out"),
            "--archive",
            "--no-hub",
            "--models-dir",
            str(sources.models_dir),
        ],
        tmp_path,
    ).finish()
    assert (ended.code, ended.last.code, ended.last.param) == (65, "device_unsupported", "exports"), ended.stderr
    assert ended.last.message.startswith("semi-structured: ")
    assert [event.name for event in ended.events if event.event == "artifact"] == ["exports.json"]
