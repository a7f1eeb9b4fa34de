"""The documentation builds strictly as a site, loads nothing from other hosts, and its links and anchors lead somewhere."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from scripts.diagrams import DIAGRAMS, diagrams_of_pages
from tests.processes import ROOT

if not os.environ.get("CI") and any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_parser")):
    pytest.skip("the extra docs is not installed: run make setup", allow_module_level=True)


def build(pages: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-c", str(pages / "site")]
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "-d", f"{out}.doctrees", str(pages), str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    done = build(ROOT / "docs", out)
    assert done.returncode == 0, done.stderr
    return out


class Page(HTMLParser):
    """What a page links to, what it loads, and where links into it may lead."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "index", "search", "next", "prev"):
            self.loads.append(given["href"])
        self.loads += [given[name] for name in ("src", "srcset", "poster") if name in given]


def test_nothing_is_loaded_from_other_hosts_and_everything_is_there(site: Path) -> None:
    pages = {file: Page(file) for file in site.rglob("*.html")}
    assert len(pages) > 25
    for file, page in pages.items():
        assert page.loads
        for address in page.loads:
            parts = urlsplit(address)
            assert not parts.scheme, f"{file.name} loads {address}"
            assert not parts.netloc, f"{file.name} loads {address}"
            assert (file.parent / unquote(parts.path)).is_file(), f"{file.name}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text("utf-8")), sheet.name


def test_links_and_anchors_lead_somewhere(site: Path) -> None:
    pages = {file.resolve(): Page(file) for file in site.rglob("*.html")}
    for file, page in pages.items():
        for link in page.links:
            if not urlsplit(link).scheme:
                path, anchor = urldefrag(link)
                target = (file.parent / unquote(path)).resolve() if path else file
                assert target.is_file(), f"{file.name}: {link}"
                if target in pages and file.name not in ("genindex.html", "search.html"):
                    assert unquote(anchor) in pages[target].anchors, f"{file.name}: {link}"


def test_diagrams_are_those_of_the_pages(site: Path) -> None:
    wanted = diagrams_of_pages().keys()
    assert {file.name for file in DIAGRAMS.iterdir()} == wanted, "run: python -m scripts.diagrams"
    assert {file.name for file in (site / "_images").glob("*.svg")} >= wanted


@pytest.fixture(scope="module")
def two_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages without a fault."""
    folder = tmp_path_factory.mktemp("pages")
    pages = folder / "docs"
    (pages / "reference").mkdir(parents=True)
    shutil.copytree(ROOT / "docs" / "site", pages / "site")
    shutil.copytree(ROOT / "docs" / "images", pages / "images")
    (pages / "index.md").write_text("# Home\n\n## Reference\n\n- [x](reference/spec.md)\n- [y](reference/presets.md)\n")
    for name in ("spec", "presets"):
        (pages / "reference" / f"{name}.md").write_text(f"# {name}\n")
    assert build(pages, folder / "good").returncode == 0
    return pages


@pytest.mark.parametrize(
    ("added", "faults"),
    [
        (
            {"reference/presets.md": "[x](nowhere.md) [x](spec.md#nothing)", "forgotten.md": "# Not listed"},
            ["presets.md:3: .*nowhere.md", "presets.md:3: .*nothing", "forgotten.md: .*toctree"],
        ),
        ({"reference/presets.md": "```mermaid\nflowchart LR\n    accTitle: New\n    a --> b\n```"}, ["scripts.diagrams"]),
        ({"reference/presets.md": "```mermaid\nflowchart LR\n    a --> b\n```"}, ["accTitle"]),
    ],
)
def test_dead_links_anchors_and_unlisted_pages_are_refused(
    two_pages: Path, tmp_path: Path, added: dict[str, str], faults: list[str]
) -> None:
    pages = tmp_path / "docs"
    shutil.copytree(two_pages, pages)
    for page, text in added.items():
        with (pages / page).open("a") as file:
            file.write(f"\n{text}\n")
    done = build(pages, tmp_path / "bad")
    assert done.returncode != 0
    for fault in faults:
        assert re.search(fault, done.stderr), done.stderr
