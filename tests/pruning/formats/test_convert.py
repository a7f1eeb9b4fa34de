"""Conversion of masks between all formats: the bits stay equal."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pruning.errors import PermanentError
from pruning.formats import compact_file
from pruning.formats.convert import convert
from tests.processes import ROOT
from tests.pruning.formats.compact_examples import masks_of, same, written
from tests.pruning.formats.mask_info import info_of


def test_there_and_back_through_every_form(tmp_path: Path) -> None:
    first = written(tmp_path)
    packed = convert(first, tmp_path / "a.safetensors")
    upstream = convert(packed, tmp_path / "b.npy")
    again = convert(upstream, tmp_path / "c.espalier", like=packed)
    masks, info = compact_file.read_either(again)
    assert same(masks, masks_of())
    assert info == info_of(masks_of()).model_copy(update={"metrics": {}})
    assert np.load(upstream).dtype == np.uint8
    assert compact_file.read_either(packed)[1] == info_of(masks_of())


def refusal(source: Path, target: Path) -> tuple[str, str | None]:
    with pytest.raises(PermanentError) as caught:
        convert(source, target)
    return caught.value.code, caught.value.param


def test_what_cannot_be_converted_is_refused_by_name(tmp_path: Path) -> None:
    first = written(tmp_path)
    assert refusal(first, tmp_path / "mask.zip") == ("mask_form", "output")
    upstream = convert(first, tmp_path / "b.npy")
    assert refusal(upstream, tmp_path / "c.espalier") == ("mask_form", "like")
    (tmp_path / "bad.espalier").write_bytes(b"no mask")
    assert refusal(tmp_path / "bad.espalier", tmp_path / "d.npy") == ("mask_invalid", "mask")
    assert not (tmp_path / "d.npy").exists()


def test_the_command_line_converts(tmp_path: Path) -> None:
    first = written(tmp_path)
    command = [sys.executable, "-m", "espalier.cli", "convert", str(first), "-o", str(tmp_path / "m.safetensors"), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bytes"] == (tmp_path / "m.safetensors").stat().st_size
    wrong = subprocess.run([*command[:4], str(first), "-o", "m.zip"], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert wrong.returncode == 2
    assert b"mask_form" in wrong.stderr
