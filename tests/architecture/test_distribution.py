"""Distribution: its name, which is not ``espalier`` (another project on the package index), and the data files in its wheel."""

import re
import subprocess
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts.build_distributions import build
from scripts.npm_package import STATIC
from scripts.vendor_assets import PACKAGES

ROOT = Path(__file__).parents[2]
FOREIGN = re.compile(r"pip install[^\n&|;]*?[\s'\"]espalier(?![\w-])|(?<![\w-])espalier\[\w+\]|espalier\s*[=~><]=")
READ_AT_RUN_TIME = (
    "api/pages/static",
    "api/pages/templates",
    "api/static",
    "pruning/masking/kernels/csrc",
    "pruning/report/static",
    "pruning/report/templates",
    "demo/models/espalier-demo-mlm",
    "demo/datasets/reviews",
)
LICENCES = ("LICENSE", "THIRD_PARTY_NOTICES.md")
THIS = Path(__file__).relative_to(ROOT)


def test_the_distribution_has_a_name_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "espalier-pruning"
    assert project["scripts"].keys() == {"espalier"}


def test_no_file_installs_the_foreign_project() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    suffixes = {".py", ".md", ".toml", ".yml", ".yaml", ".sh", ".lock", ""}
    files = [Path(name) for name in listed.split("\0") if name and Path(name).suffix in suffixes and Path(name) != THIS]
    assert len(files) > 300, "the files of the repository were not listed"
    found = {
        f"{file}: {match[0]}"
        for file in files
        for match in FOREIGN.finditer((ROOT / file).read_text(encoding="utf-8", errors="ignore"))
    }
    assert not found


@pytest.mark.parametrize(
    "text", ["pip install espalier", "pip install 'espalier[train]'", "needs espalier[onnx]", "espalier==0.1.0"]
)
def test_a_mention_is_found(text: str) -> None:
    assert FOREIGN.search(text)


@pytest.mark.parametrize("text", ["pip install 'espalier-pruning[train]'", "pip install -r x && espalier serve"])
def test_the_own_name_and_the_program_are_not_mistaken(text: str) -> None:
    assert not FOREIGN.search(text)


def package_data() -> set[Path]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    named = configuration["tool"]["setuptools"]["package-data"]
    return {
        file
        for package, patterns in named.items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")).glob(pattern)
    }


@pytest.mark.parametrize("folder", READ_AT_RUN_TIME)
def test_files_that_are_read_at_run_time_are_in_the_wheel(folder: str) -> None:
    files = {file for file in (ROOT / folder).iterdir() if file.is_file()}
    assert files
    assert files <= package_data()


def test_the_version_is_written_once() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert configuration["project"]["dynamic"] == ["version"]
    assert configuration["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pruning.__version__"}


def test_the_notices_name_every_vendored_file() -> None:
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
    shipped = [package for package in PACKAGES if package.folder == STATIC]
    assert shipped
    for package in shipped:
        (line,) = [line for line in notices.splitlines() if line.startswith(f"| {package.name} |")]
        assert f"| {package.version} | {package.license} |" in line
        assert all(f"`{name}`" in line for name in package.files.values())


def test_what_the_wheel_has_is_what_a_user_needs(tmp_path: Path) -> None:
    built = build(tmp_path)
    with ZipFile(built.wheel) as archive:
        names = archive.namelist()
    folders = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert folders == {"api", "demo", "espalier", "migrations", "pruning", "service", "worker"}
    assert not [name for name in names if name.startswith("demo/make")]
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    tracked = {name for name in listed.splitlines() if not name.startswith("demo/make") and (ROOT / name).exists()}
    assert tracked - set(names) == {"migrations/alembic.ini", "migrations/script.py.mako"}, "only for new migrations"
    assert {f"{built.wheel.name.removesuffix('-py3-none-any.whl')}.dist-info/licenses/{n}" for n in LICENCES} <= set(names)
