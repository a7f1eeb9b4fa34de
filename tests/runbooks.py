"""Commands of the how-to pages, by the section they are in, and a shell that runs them as they stand."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.processes import ROOT

DOCS = ROOT / "docs"
EXAMPLE = re.compile(r"(?ms)^(?:<!-- (?P<reason>[^\n]+) -->\n)?```(?P<language>sh|python)\n(?P<code>.*?)^```")


def examples(page: str, section: str | None = None) -> list[tuple[str, str]]:
    """Language and code of all examples of a page that can be run, or of the section with this heading alone."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    if section is not None:
        (text,) = (part for part in re.split(r"(?m)^#+ ", text) if part.partition("\n")[0] == section)
    return [(found["language"], found["code"]) for found in EXAMPLE.finditer(text) if found["reason"] is None]


def run(steps: Sequence[tuple[str, str]], variables: Mapping[str, str], here: Path, *, seconds: float = 500) -> str:
    """What the steps print, in one shell in the folder ``here``; fails with what they say on standard error.

    ``espalier`` and ``python`` are those of the tests.
    """
    shell = [f'espalier() {{ "{sys.executable}" -m espalier.cli "$@"; }}', f'python() {{ "{sys.executable}" "$@"; }}']
    shell += [code if language == "sh" else f"python - <<'END_OF_PROGRAM'\n{code}END_OF_PROGRAM\n" for language, code in steps]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(shell)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        cwd=here,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
