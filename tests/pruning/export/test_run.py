"""Exports of one mask, from the mask's file to folders, archives and figures; one that fails costs nothing but itself."""

import errno
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification

import espalier
from pruning.errors import PermanentError, TemporaryError
from pruning.export import build, results
from pruning.export.run import run_exports
from pruning.sources import Sources
from pruning.spec.export_formats import Format
from tests.pruning.runs import of_kind

pytestmark = pytest.mark.usefixtures("quick")


def test_folders_with_figures_cards_and_reasons(models: Path, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Any] = []
    formats: tuple[Format, ...] = ("compact", "semi-structured", "stock")
    made = run_exports(masks / "bert.safetensors", formats, tmp_path, model=models / "bert", emit=events.append)
    written = results.read(tmp_path)
    assert written is not None
    assert written.exports == made
    compact, refused, stock = made
    assert [(one.batch, one.tokens) for one in compact.latency] == [(1, 32), (2, 64)]
    assert (compact.equal, compact.rows, compact.checked_on, compact.compacted) == (1.0, 64, "random", True)
    assert compact.max_difference is not None
    assert compact.max_difference < 1e-5
    assert compact.bytes == sum(file.stat().st_size for file in (tmp_path / "compact").iterdir())
    card = (tmp_path / "compact" / "README.md").read_text()
    assert compact.verdict[1:] in card
    assert f"| 1 | 32 | {compact.latency[0].before_ms} |" in card
    monkeypatch.chdir(tmp_path)
    exec(card.split("```python")[1].split("```")[0])
    assert espalier.load_export(tmp_path / "compact").predict(["a film"])
    assert refused.artifact is None
    assert refused.error is not None
    assert not (tmp_path / "semi-structured").exists()
    (warning,) = [log.message for log in of_kind(events, "log") if log.level == "warning"]
    assert warning.endswith(f"semi-structured: {refused.verdict}")
    assert stock.max_difference is not None
    assert stock.max_difference < 1e-5  # its head is computed by an encoder layer more
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "stock").config.model_type == "bert"
    assert not list(tmp_path.glob(".*"))


def test_an_archive_is_announced_and_the_same_twice(models: Path, masks: Path, tmp_path: Path) -> None:
    events: list[Any] = []
    for name in ("first", "second"):
        run_exports(
            masks / "roberta.safetensors", ["csr"], tmp_path / name, model=models / "roberta", archive=True, emit=events.append
        )
    first, figures, second, _ = of_kind(events, "artifact")
    assert (first.name, first.media_type, figures.name) == ("export-csr.zip", "application/zip", "exports.json")
    path = tmp_path / "first" / first.name
    assert first.bytes == path.stat().st_size
    assert first.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    with zipfile.ZipFile(path) as one, zipfile.ZipFile(tmp_path / "second" / second.name) as other:
        assert {"csr/espalier.json", "csr/model.safetensors", "csr/README.md", "csr/tokenizer.json"} <= set(one.namelist())
        same = [name for name in one.namelist() if not name.endswith("README.md")]  # which has the latencies
        assert all(one.read(name) == other.read(name) for name in same)
        one.extractall(tmp_path)
    assert espalier.load_export(tmp_path / "csr").predict(["a film"])
    texts = ["a film", "another one"]
    np.testing.assert_array_equal(espalier.load_export(path).logits(texts), espalier.load_export(tmp_path / "csr").logits(texts))


def test_an_export_with_other_logits_is_none(models: Path, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Any) -> dict[str, int]:
        model.bert.encoder.layer[0].output.dense.bias.data[0] += 1
        return {}

    monkeypatch.setattr(build, "compact", wrong)
    (made,) = run_exports(masks / "bert.safetensors", ["compact"], tmp_path, model=models / "bert")
    assert made.error is not None
    assert made.error.code == "export_wrong"
    assert not (tmp_path / "compact").exists()


def test_an_unexpected_exception_is_an_entry_too(
    models: Path, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_model: Any) -> dict[str, int]:
        raise ZeroDivisionError("by the exporter")

    monkeypatch.setattr(build, "compact", broken)
    (made,) = run_exports(masks / "bert.safetensors", ["compact"], tmp_path, model=models / "bert")
    assert made.error == results.Failure(code="export_failed", message="ZeroDivisionError: by the exporter")
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (OSError(errno.ENOSPC, "full"), "insufficient_storage"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "insufficient_storage"),
        (MemoryError(), "out_of_memory"),
        (TemporaryError("away", code="hub_unreachable"), "hub_unreachable"),
    ],
)
def test_what_may_pass_can_be_tried_again(
    models: Path, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, code: str
) -> None:
    def failing(_model: Any) -> dict[str, int]:
        raise fault

    monkeypatch.setattr(build, "compact", failing)
    (made,) = run_exports(masks / "bert.safetensors", ["compact"], tmp_path, model=models / "bert")
    assert made.error is not None
    assert (made.error.code, made.error.retryable) == (code, True)


def test_the_base_is_found_by_the_masks_own_word(models: Path, masks: Path, tmp_path: Path) -> None:
    events: list[Any] = []
    sources = Sources(models, hub=False)
    run_exports(masks / "bert.safetensors", ["stock"], tmp_path, sources=sources, emit=events.append)
    phases = [(event.phase, event.message) for event in of_kind(events, "phase")]
    assert phases[:2] == [("validating", "model bert"), ("exporting", "stock")]


def test_a_wrong_base_or_a_folder_in_the_way_stops_at_once(models: Path, masks: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as refused:
        run_exports(masks / "bert.safetensors", ["compact"], tmp_path, model=models / "roberta")
    assert refused.value.code == "base_mismatch"
    (tmp_path / "compact").mkdir()
    (tmp_path / "compact" / "mine").touch()
    with pytest.raises(FileExistsError):
        run_exports(masks / "bert.safetensors", ["compact"], tmp_path, model=models / "bert")
