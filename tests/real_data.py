"""Real task data, where a machine has it: a folder named by ``ESPALIER_TEST_DATA``, by default next to the checkout."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("ESPALIER_TEST_DATA", ROOT.parent / "shared" / "data"))


def real_data(*parts: str) -> Path:
    """A file or folder of the real data; the test is skipped where it is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {'/'.join(parts)} under {DATA}; set ESPALIER_TEST_DATA")
    return path
