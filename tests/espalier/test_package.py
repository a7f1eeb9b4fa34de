"""Names of the package ``espalier``: what it exports, lists and loads on first use."""

import subprocess
import sys
from importlib import metadata

import pytest

import espalier
import espalier.client
import espalier.errors
import pruning


def test_the_version_is_that_of_the_distribution() -> None:
    assert espalier.__version__ == metadata.version("espalier-pruning") == pruning.__version__


@pytest.mark.parametrize("package", [espalier, espalier.client])
def test_every_name_is_listed_and_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert {*names} <= {*dir(package)}
    assert all(getattr(package, name) is not None for name in names)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name  # type: ignore[attr-defined]


def test_all_exceptions_of_the_client_are_exported() -> None:
    errors = {name for name, value in vars(espalier.errors).items() if isinstance(value, type) and name.endswith("Error")}
    assert errors <= {*espalier.__all__}


def test_a_star_import_loads_no_torch_and_the_bank_is_listed() -> None:
    program = "import sys; from espalier import *; Client; load_pruned; print('torch' in sys.modules, __version__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", espalier.__version__]
    assert "MaskBank" in dir(espalier)


def test_the_command_line_may_use_words_of_a_job_without_httpx() -> None:
    program = "import sys, espalier.client.job_words, espalier.client.progress; print({'httpx', 'pydantic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
