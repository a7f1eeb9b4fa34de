"""Examples of the quickstart and of the how-to pages, page by page on one service: only port, numbers of steps, seeds and
validation rows, and models differ (toys are in the place of models). An example that cannot be run says why in a comment before it.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import runbooks
from tests.processes import ROOT
from tests.runbooks import DOCS, EXAMPLE, examples
from tests.serving import espalier_serve
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model

pytestmark = pytest.mark.timeout(1200)  # a page has up to six jobs
SMALLER = {
    r"(max_steps=)\d+": r"\g<1>10",
    r'"max_steps": \d+': '"max_steps": 10, "validation_rows": 100',
    "--seeds 1,2": "--seeds 1",
}
HERE = ("how-to/own-data", "how-to/private-models", "how-to/sweep", "how-to/tune-for-a-budget", "how-to/export")
ELSEWHERE = ("how-to/using-masks", "how-to/back-up", "how-to/upgrade")
"""Pages whose examples a test of their own runs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    make_model(folder / "models" / "distilbert" / "distilbert-base-uncased", "distilbert")
    for shipped in ("models/espalier-demo-mlm", "datasets/reviews"):
        shutil.copytree(ROOT / "demo" / shipped, folder / shipped)
    make_opinions(folder / "datasets" / "sst2", train=128, validation=32)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with espalier_serve(folder, {"HF_HUB_OFFLINE": "1", "ESPALIER_WORKER_SLOTS": "2", "PYTHONPATH": str(ROOT)}) as url:
        yield url


def run(page: str, address: str, folder: Path, here: Path) -> str:
    """What the examples of a page print, run in order in the folder ``here``. Fails with what they say on standard error."""
    steps = [(language, smaller(code)) for language, code in examples(page)]
    variables = {
        "ESPALIER_URL": address,
        "HF_HUB_OFFLINE": "1",
        "ESPALIER_MODELS_DIR": str(folder / "models"),
        "ESPALIER_DATASETS_DIR": str(folder / "datasets"),
    }
    return runbooks.run(steps, variables, here)


def smaller(code: str) -> str:
    for given, instead in SMALLER.items():
        code = re.sub(given, instead, code)
    return code


def test_the_quickstart(address: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, *rest = examples("quickstart")
    assert start[1].endswith("espalier serve\n"), "the service, which the tests start"
    monkeypatch.setattr(sys.modules[__name__], "examples", lambda page: rest)
    printed = run("quickstart", address, folder, tmp_path)
    assert "weights  786432 masked" in printed
    assert "nothing was created" in printed
    assert re.search(r"(?m)^(positive|negative)\t[01]\.\d{4}$", printed)
    assert printed.splitlines()[-2] == "('negative', 'positive')"
    assert (tmp_path / "mask.safetensors").stat().st_size > 100_000


def test_own_data(address: str, folder: Path, tmp_path: Path) -> None:
    printed = run("how-to/own-data", address, folder, tmp_path)
    assert re.search(r"(?m)^(billing|crash)\t", printed)
    assert (tmp_path / "tickets.safetensors").exists()


def test_private_models(address: str, folder: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "my-model", "bert")
    assert re.search(r"(?m)^\[[01]\]$", run("how-to/private-models", address, folder, tmp_path))


def test_sweep(address: str, folder: Path, tmp_path: Path) -> None:
    printed = run("how-to/sweep", address, folder, tmp_path)
    assert len(re.findall(r"(?m),(?:smp-s|wanda),0\.[59],1,job_", printed)) == 4
    assert (tmp_path / "sst2.svg").read_text("utf-8").startswith("<?xml")


def test_tuning_for_a_budget(address: str, folder: Path, tmp_path: Path) -> None:
    printed = run("how-to/tune-for-a-budget", address, folder, tmp_path)
    assert "budget_small" in printed
    assert "fine-tuned" in printed


def test_export(address: str, folder: Path, tmp_path: Path) -> None:
    printed = run("how-to/export", address, folder, tmp_path)
    assert re.fullmatch(r"\('negative', 'positive'\) \[[01]\]", printed.splitlines()[-1])
    assert (tmp_path / "folder" / "config.json").exists()


def test_every_example_is_run_or_says_why_not() -> None:
    for file in [*(DOCS / "how-to").glob("*.md"), *(DOCS / "explanation").rglob("*.md")]:
        page = str(file.relative_to(DOCS).with_suffix(""))
        for found in EXAMPLE.finditer(file.read_text("utf-8")):
            reason = found["reason"] or ""
            if page not in (*HERE, *ELSEWHERE):
                assert reason.startswith("not run by the tests: "), f"{page}: {found['code'].splitlines()[0]}"
