"""Optional dependencies: the table of extras is that of ``pyproject.toml``, and a missing package becomes one line."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from espalier import extras
from espalier.extras import DISTRIBUTION, EXTRAS, MissingExtraError, explain, how_to_install, require
from tests.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {
    name: {re.split(r"[\[>=<; ]", line)[0].lower().replace("-", "_") for line in lines}
    for name, lines in PROJECT["optional-dependencies"].items()
}
BROUGHT_ALONG = {"redis": "celery", "starlette": "fastapi", "botocore": "boto3"}
"""Imported by our code, and declared through the package that brings it."""
DISTRIBUTIONS = {"google": "protobuf", "opentelemetry": "opentelemetry_api", "sklearn": "scikit_learn"}
"""Distributions whose packages have another name."""


@pytest.mark.parametrize("package", EXTRAS)
def test_every_package_is_declared_by_its_extra(package: str) -> None:
    distribution = DISTRIBUTIONS.get(package, BROUGHT_ALONG.get(package, package))
    assert distribution in DECLARED[EXTRAS[package]]


@pytest.mark.parametrize("extra", ["server", "train", "onnx", "s3", "parquet"])
def test_every_declared_package_is_in_the_table(extra: str) -> None:
    packages = {name: package for package, name in DISTRIBUTIONS.items()}
    assert {packages.get(name, name) for name in DECLARED[extra]} <= EXTRAS.keys()


def test_all_is_every_extra_of_users() -> None:
    (line,) = PROJECT["optional-dependencies"]["all"]
    name, _, extras = line.removesuffix("]").partition("[")
    assert name == DISTRIBUTION
    assert set(extras.split(",")) == PROJECT["optional-dependencies"].keys() - {"all", "dev", "docs"}


def test_no_server_package_is_a_dependency_of_the_client() -> None:
    client = {re.split(r"[>=<; ]", line)[0] for line in PROJECT["dependencies"]}
    assert client == {"httpx", "numpy", "pydantic", "rich", "safetensors", "typer"}
    assert all(metadata.version(name) for name in client)


def test_all_extras_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    require(["json", "sqlalchemy"])
    assert "[server,train]'" in how_to_install(["sqlalchemy.orm", "torch"])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[server,train\]'") as missing:
        require(["sqlalchemy", "torch"])
    assert explain(missing.value) == str(missing.value)
    assert explain(ModuleNotFoundError("no", name="no_such_package")) is None
    assert explain(ImportError("cannot import name", name="torch")) is None


BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from espalier.cli.main import main
sys.argv = ["espalier", *{arguments!r}]
main()
"""


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["keys", "list"], "sqlalchemy", "server"),
        (["doctor", "--data-dir", "data"], "pydantic_settings", "server"),
        (["api"], "pydantic_settings", "server"),
        (["apply", "mask.safetensors", "-o", "out"], "torch", "train"),
        (["export", "mask.safetensors", "--to", "compact", "-o", "out"], "torch", "train"),
    ],
)
def test_a_command_names_the_extra_that_it_misses(arguments: list[str], package: str, extra: str, tmp_path: Path) -> None:
    program = BLOCKED.format(packages=[package], arguments=arguments)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr
    assert f"pip install '{DISTRIBUTION}[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_function_names_the_extra_that_it_misses(tmp_path: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; import espalier; espalier.load_pruned('mask.safetensors')"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert re.search(r"ImportError: load_pruned needs torch, .*\[train\]'", done.stderr)
