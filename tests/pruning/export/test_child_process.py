"""Exports of a run in a process of their own: its end is recorded, and a failure never loses the mask."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pruning.errors import StoppedError
from pruning.export import child_process, results
from pruning.sources import Sources
from tests.pruning.runs import arguments_of, fork, make_sources, of_kind

DIES = """
import os, signal
print('{"event":"phase","phase":"saving","message":"export csr"}', flush=True)
print('{"event":"phase","pha', end="", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
WAITS = """
import sys
print('{"event":"log","message":"%d"}' % __import__("os").getpid(), flush=True)
sys.stdin.read()
"""


def run(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch, should_stop: Any = lambda: False) -> list[Any]:
    """Exports by a program that is none; what was reported."""
    monkeypatch.setattr(child_process, "_command", lambda *_: [sys.executable, "-c", script])
    events: list[Any] = []
    child_process.make_exports(
        ["csr", "onnx"], folder / "mask.safetensors", folder, Sources(), events.append, lambda: should_stop(events)
    )
    return events


def test_a_process_that_dies_leaves_an_entry_and_a_warning_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = run(DIES, tmp_path, monkeypatch, lambda _: False)
    assert [event.message for event in of_kind(events, "phase")] == ["export csr"]
    for name, log in zip(("csr", "onnx"), of_kind(events, "log"), strict=True):
        assert name in log.message
        assert "signal 9" in log.message
    found = results.read(tmp_path)
    assert found is not None
    assert [(one.format, one.error and one.error.code) for one in found.exports] == [
        ("csr", "export_failed"),
        ("onnx", "export_failed"),
    ]


def test_what_was_made_before_the_end_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = results.ExportEntry(format="csr", artifact="export-csr.zip", bytes=1, verdict="no gain: …")
    results.write(tmp_path, 3, [made])
    run(DIES, tmp_path, monkeypatch, lambda _: False)
    found = results.read(tmp_path)
    assert found is not None
    assert (found.threads, found.exports[0], found.exports[1].error is not None) == (3, made, True)


def test_a_stop_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []

    def once_it_speaks(events: list[Any]) -> bool:
        heard.extend(int(event.message) for event in events[len(heard) :])
        return bool(heard)

    with pytest.raises(StoppedError):
        run(WAITS, tmp_path, monkeypatch, once_it_speaks)
    with pytest.raises(ProcessLookupError):  # ended, and reaped
        os.kill(heard[0], signal.SIG_DFL)


def test_it_reads_private_rows_with_the_token_of_the_run(tmp_path: Path) -> None:
    sources = Sources(token="hf_secret", token_file=tmp_path / "token")
    command = child_process._command(["csr"], tmp_path / "mask.safetensors", tmp_path, sources)
    assert command[command.index("--token-file") + 1] == str(tmp_path / "token")
    assert "hf_secret" not in command


def test_a_run_delivers_its_exports(tmp_path: Path) -> None:
    """The whole way: ``python -m pruning train --export``, which starts ``python -m pruning export``."""
    sources = make_sources(tmp_path)
    arguments = arguments_of(tmp_path / "work", {"sparsity": 0.9, "max_steps": 4}, sources, "--export", "compact")
    ended = fork([*arguments, "--export", "semi-structured"], tmp_path / "logs").finish()
    assert ended.code == 0, ended.stderr
    names = [event.name for event in of_kind(ended.events, "artifact")]
    assert names[:5] == ["mask.safetensors", "mask.espalier", "predictions.jsonl", "export-compact.zip", "exports.json"]
    found = results.read(tmp_path / "work" / "artifacts")
    assert found is not None
    compact, refused = found.exports
    assert (compact.equal, compact.checked_on, compact.rows) == (1.0, "validation", 64)
    assert refused.error is not None
    assert "GPU" in refused.error.message
    shutil.unpack_archive(tmp_path / "work" / "artifacts" / "export-compact.zip", tmp_path)
    assert (tmp_path / "compact" / "espalier.json").is_file()
