"""Forty inputs of the fuzz test, always the same; tens of thousands by the command of :mod:`tests.fuzz.__main__`."""

import subprocess
import sys

from tests.fuzz.__main__ import ROOT


def test_mutated_inputs_end_with_named_errors() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--inputs", "40", "--seed", "0", "--processes", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr[-2000:]
    assert "40 inputs" in ended.stdout
