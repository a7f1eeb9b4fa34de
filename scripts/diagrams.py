"""SVG files of the Mermaid diagrams in the documentation: ``python -m scripts.diagrams`` draws those that are new or have changed.

GitHub draws the fences of a page by itself; the site shows ``docs/site/diagrams``, so that it needs no script of five megabytes.
The name of a file has a digest of the diagram's text: a picture that is older than its text is not found, and the site is not
built. Needs Chromium (``ESPALIER_CHROMIUM``, else ``/usr/bin/chromium``), Playwright, and the npm registry for Mermaid.
"""

import hashlib
import os
import re
from pathlib import Path

from scripts.npm_package import Package

DOCS = Path(__file__).parents[1] / "docs"
DIAGRAMS = DOCS / "site" / "diagrams"
_FENCE = re.compile(r"(?ms)^```mermaid\n(.*?)^```$")
_TITLE = re.compile(r"(?m)^\s*accTitle: *(\S.*)$")
_MERMAID = Package(
    "mermaid",
    "12.3.0",
    "MIT",
    "4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw==",
    {"package/dist/mermaid.min.js": "mermaid.min.js"},
)
_DRAW = """async text => {
    mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: "neutral", fontFamily: "sans-serif",
                         htmlLabels: false, flowchart: { htmlLabels: false } });
    return (await mermaid.render("diagram", text)).svg;
}"""


def title_of(text: str) -> str:
    """What a diagram shows, for those who do not see it: its ``accTitle``. Raises ValueError where it has none."""
    found = _TITLE.search(text)
    if found is None:
        raise ValueError(f"the diagram that begins with {text.strip().splitlines()[0]!r} has no accTitle")
    return found[1]


def file_name(text: str) -> str:
    """The name of a diagram's SVG file, from its text. Raises as :func:`title_of`."""
    words = re.sub(r"[^a-z0-9]+", "-", title_of(text).lower()).strip("-")
    return f"{words[:40].rstrip('-')}.{hashlib.sha256(text.strip().encode()).hexdigest()[:12]}.svg"


def diagrams_of_pages() -> dict[str, str]:
    """The diagrams of all pages: name of the SVG file → text."""
    texts = [found[1] for page in sorted(DOCS.rglob("*.md")) for found in _FENCE.finditer(page.read_text("utf-8"))]
    return {file_name(text): text for text in texts}


def main() -> None:
    """Draw what is missing and delete what no page shows. Raises OSError, ValueError, playwright's Error for a faulty diagram."""
    wanted = diagrams_of_pages()
    DIAGRAMS.mkdir(exist_ok=True)
    for file in DIAGRAMS.iterdir():
        if file.name not in wanted:
            file.unlink()
    missing = {name: text for name, text in wanted.items() if not (DIAGRAMS / name).is_file()}
    for name, svg in _draw(missing).items() if missing else ():
        (DIAGRAMS / name).write_text(svg + "\n", encoding="utf-8")
        print(name)


def _draw(texts: dict[str, str]) -> dict[str, str]:
    from playwright.sync_api import sync_playwright  # not where the site is built

    with sync_playwright() as playwright:
        program = os.environ.get("ESPALIER_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(content=_MERMAID.fetch()["mermaid.min.js"].decode())
        drawn = {name: _at_its_size(str(page.evaluate(_DRAW, text))) for name, text in texts.items()}
        browser.close()
    return drawn


def _at_its_size(svg: str) -> str:
    """With a width and a height in place of all the width that there is, so that letters are as large in every diagram."""
    found = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg)
    assert found is not None, svg[:200]  # noqa: S101 - of Mermaid
    return svg.replace('width="100%"', f'width="{found[1]}" height="{found[2]}"', 1)


if __name__ == "__main__":
    main()
