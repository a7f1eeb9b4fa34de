"""The pages made from the code are those in the folder; links, and names of pages in the code, lead to what exists."""

import re
import subprocess
from pathlib import Path

import pytest

from scripts.generate_docs import PAGES, REFERENCE
from tests.processes import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_the_page_says_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name]()


PAGES_OF_PEOPLE = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """What links into a page may name: its headings, as GitHub and the site write them."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES_OF_PEOPLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text) + re.findall(r"(?:src|srcset)=\"([^\"#:]+)()\"", text)
    for target, anchor in links:
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def test_pages_named_elsewhere_exist() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    named = {
        (file, page)
        for file in listed
        if file.endswith((".py", ".md", ".yml", ".yaml", ".toml", ".html", ".sh", "Makefile", "Dockerfile", "run"))
        for page in re.findall(r"docs/[\w/-]+\.md", (ROOT / file).read_text(encoding="utf-8"))
    }
    assert len(named) > 30
    assert not sorted(each for each in named if not (ROOT / each[1]).exists())
