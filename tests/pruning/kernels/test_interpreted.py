"""The programs of a GPU without one: run by Triton's interpreter, and compiled for GPUs that are not here.

Both in processes of their own: whether Triton interprets is settled when it is imported, and transformers imports it.
"""

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from pruning.kernels import gpu

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).parent / "gpu"

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


def run(arguments: list[str], **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@needs_triton
def test_the_programs_compute_what_their_twins_compute() -> None:
    if tuple(map(int, version("triton").split(".")[:2])) < (3, 9):
        pytest.skip("the interpreter of this Triton does not know this NumPy")
    run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER)], TRITON_INTERPRET="1")


@needs_triton
def test_the_programs_compile(tmp_path: Path) -> None:
    run(["-m", "tests.pruning.kernels.gpu.compiling"], TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))


def test_why_there_are_no_programs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_reasons", {})
    assert "NVIDIA" in gpu.reason(torch.device("cpu"))
    if torch.cuda.is_available():
        return
    for name in [name for name in sys.modules if name.startswith("pruning.kernels.gpu.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert gpu.reason(torch.device("cuda", 0)) == gpu.reason(torch.device("cuda", 0))
    assert "Triton is not installed" in gpu.reason(torch.device("cuda", 0))
