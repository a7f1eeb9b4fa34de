"""Compilation of the kernels: once, by any number of processes, for this user only; with the reason where it is not possible."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from pruning.masking.kernels import compiler, dispatch
from pruning.masking.kernels.cpu import CpuKernels
from pruning.sources import Sources
from tests.pruning.runs import make_sources, of_kind, run_toy

pytestmark = pytest.mark.slow

needs_compiler = pytest.mark.skipif(bool(dispatch.unavailable_reason()), reason="no compiler here")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@needs_compiler
def test_builders_at_the_same_time_end_with_one_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiler, "_FLAGS", ("-std=c++17", "-O0", "-march=native", "-fPIC", "-shared", "-pthread"))  # in less time
    with ThreadPoolExecutor() as pool:
        files = set(pool.map(lambda _: compiler.build_library(), range(2)))
    assert len(files) == 1
    CpuKernels(files.pop())
    assert len(list((tmp_path / "espalier" / "kernels").iterdir())) == 1
    assert (tmp_path / "espalier" / "kernels").stat().st_mode & 0o077 == 0


def test_a_folder_that_others_can_write_to_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "espalier" / "kernels"
    folder.mkdir(parents=True)
    os.chmod(folder, 0o777)
    assert not compiler._folder().is_relative_to(tmp_path)


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "c++"
    program.write_text("#!/bin/sh\n[ $1 = --version ] || { echo no space >&2; exit 1; }\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    with pytest.raises(compiler.KernelsUnavailableError, match="no space"):
        compiler.build_library()
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_a_run_without_a_compiler_says_so_and_ends_well(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(dispatch, "_load", dispatch._load.__wrapped__)
    events = run_toy(sources, tmp_path, max_steps=4)
    assert of_kind(events, "started")[0].versions["kernels"] == "plain"
    assert any("C++" in event.message for event in of_kind(events, "log"))
    assert of_kind(events, "finished")


@needs_compiler
def test_a_run_says_that_it_uses_the_kernels(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, max_steps=4)
    assert of_kind(events, "started")[0].versions["kernels"] == dispatch.kernel_name(torch.device("cpu")) == "native"
