"""Whole runs with a sparsity of single matrices: asked and got in mask and report, refusals before any step, and resumption."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.errors import PermanentError, StoppedError
from pruning.events import StartedEvent
from pruning.formats import compact_file, mask_file
from pruning.sources import Sources
from pruning.training import inputs
from tests.pruning.runs import finished, make_sources, run_toy, same_masks, stop_after

BY = {"*.attention.*": 0.8, "encoder.layer.0.*": 0.0}
FIELDS: dict[str, Any] = {"sparsity": 0.42, "sparsity_by": BY}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.mark.parametrize("method", ["smp-s", "smp-l", "movement"])
def test_asked_and_got_are_in_mask_and_report_and_the_overall_count_is_kept(sources: Sources, tmp_path: Path, method: str) -> None:
    kept = finished(run_toy(sources, tmp_path / "plain", method=method, sparsity=0.42))["kept_weights"]
    result = finished(run_toy(sources, tmp_path / "by", method=method, **FIELDS))
    assert (result["kept_weights"], result["sparsity_asked"]) == (kept, 0.42)
    folder = tmp_path / "by" / "artifacts"
    for read in (
        lambda: mask_file.read_info(folder / "mask.safetensors"),
        lambda: compact_file.read_info(folder / "mask.espalier"),
    ):
        info = read()
        assert info.spec.sparsity_by == BY
        for path, (rows, columns) in info.shapes.items():
            if ".layer.0." in path:
                assert info.kept[path] == rows * columns
            elif ".attention." in path:
                assert info.kept[path] == int(0.2 * rows * columns)
    table = {row["path"]: row for row in json.loads((folder / "report.json").read_text())["matrices"]}
    query = "bert.encoder.layer.{}.attention.self.query"
    assert [table[query.format(i)]["density_asked"] for i in (0, 1)] == [1.0, 0.2]
    assert [table[query.format(i)]["asked_by"] for i in (0, 1)] == ["encoder.layer.0.*", "*.attention.*"]
    assert table["bert.encoder.layer.1.output.dense"]["density_asked"] is None
    assert "density_asked" not in (tmp_path / "plain" / "artifacts" / "report.json").read_text()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sparsity_by": {"layer.7.*": 0.5}}, "sparsity_by_unmatched"),
        ({"sparsity_by": {"*.layer.0.*": 0.0, "*.layer.1.*": 0.1}}, "sparsity_by_unreachable"),
        ({"sparsity_by": {"*.attention.*": 0.0}, "sparsity": 0.9}, "sparsity_by_unreachable"),
    ],
)
def test_what_does_not_fit_is_refused_before_rows_are_read(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    monkeypatch.setattr(inputs, "_load_rows", lambda *_: pytest.fail("rows were read"))
    with pytest.raises(PermanentError) as refusal:
        run_toy(sources, tmp_path, **FIELDS | changes)
    assert (refusal.value.code, refusal.value.param) == (code, "sparsity_by")


def test_a_stopped_run_resumes_to_the_same_masks(sources: Sources, tmp_path: Path) -> None:
    whole = run_toy(sources, tmp_path / "whole", **FIELDS)
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(5), **FIELDS)
    resumed = run_toy(sources, tmp_path / "cut", **FIELDS)
    assert [event.resumed_from for events in (whole, resumed) for event in events if isinstance(event, StartedEvent)] == [0, 5]
    assert same_masks(tmp_path / "whole", tmp_path / "cut")
