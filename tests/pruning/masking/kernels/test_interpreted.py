"""GPU programs without a GPU: run by Triton's interpreter, and compiled for GPUs that this machine lacks.

Both in processes of their own: whether Triton interprets is settled when it is imported, and transformers imports it. Only
those need Triton, so it may lie in a folder of its own, named by ``TRITON_FOLDER`` (``make triton`` fills one).
"""

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch

from pruning.masking.kernels.triton import availability

ROOT = Path(__file__).parents[4]
FOLDER = Path(__file__).parent / "triton"
pytestmark = pytest.mark.slow

PLACES = [folder for folder in (os.environ.get("TRITON_FOLDER"),) if folder]

needs_triton = pytest.mark.skipif(
    not (PathFinder.find_spec("triton", PLACES) or importlib.util.find_spec("triton")),
    reason="Triton is not installed; `make triton` puts it into a folder for TRITON_FOLDER to name",
)


def run(*arguments: str, **environment: str) -> None:
    """Python with these arguments, which must end well."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([*PLACES, *sys.path]), **environment},
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.timeout(1200)  # forty seconds on a free core
@needs_triton
def test_the_programs_compute_what_their_twins_compute(pytestconfig: pytest.Config) -> None:
    triton = next(iter(distributions(name="triton", path=[*PLACES, *sys.path])))
    if tuple(map(int, triton.version.split(".")[:2])) < (3, 9):
        pytest.skip("the interpreter of this Triton does not know this NumPy")
    # a GPU divides by zero without a word, NumPy warns of it
    more = ["--exhaustive"] if pytestconfig.getoption("exhaustive") else []
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning", *more, str(FOLDER), TRITON_INTERPRET="1")


@needs_triton
def test_the_programs_compile(tmp_path: Path) -> None:
    run("-m", "tests.pruning.masking.kernels.triton.compiling", TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))


def test_the_reason_for_missing_programs_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_reasons", {})
    assert "NVIDIA" in availability.unavailable_reason(torch.device("cpu"))
    if torch.cuda.is_available():
        return
    for name in [name for name in sys.modules if name.startswith("pruning.masking.kernels.triton.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert availability.unavailable_reason(torch.device("cuda", 0)) == availability.unavailable_reason(torch.device("cuda", 0))
    assert "Triton is not installed" in availability.unavailable_reason(torch.device("cuda", 0))
