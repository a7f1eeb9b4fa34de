"""Quiet libraries: a data set that is prepared shows no progress bar after :func:`silence_libraries`."""

import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

PROGRAM = """
from pruning.cli.environment import silence_libraries

silence_libraries()
from datasets import load_dataset

load_dataset("json", data_files="rows.jsonl", cache_dir="cache")
"""


def test_a_data_set_is_prepared_without_output(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": 0}\n' * 50)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
