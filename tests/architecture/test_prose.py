"""Prose of the repository: module docstrings that open with a noun phrase, and words that plain technical English does without.

Docstrings, comments, messages, templates and pages are read as text. The list of words has a replacement for each; identifiers are
read, too, so that a dialect cannot come back by way of names.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT

PLAIN = {
    r"whoever": "the subject by name, e.g. the operator",
    r"whatever": "any, every, or the things by name",
    r"somebody|nobody|someone|anybody": "the process, owner, user or client by name",
    r"strangers?": "untrusted, other owners, clients without a key",
    r"besides?": "in addition to, next to",
    r"but for": "except for",
    r"anew": "again",
    r"mends?|mended": "fix",
    r"told": "shown, notified, distinguished",
    r"lends?|lent": "provide",
    r"at hand": "available",
    r"in vain": "without effect",
    r"(?:is|are|was|were) away": "unreachable",
    r"look(?:s|ed)? at": "read, check",
    r"says no": "refuses",
    r"last words": "last lines of stderr",
    r"any more": "no longer, or nothing",
    r"in good hands|as ever|which see": "the fact itself",
}
"""Words (regular expressions) → what to say instead."""
DOCSTRING = re.compile(r'(?:#[^\n]*\n|\s)*r?"""(.*?)(?:"""|\n)')
SUFFIXES = {".py", ".md", ".html", ".cpp", ".hpp", ".js", ".css", ".toml", ".yaml", ".yml", ""}
EXEMPT = (
    "demo/make/",  # word tables of film reviews
    "demo/datasets/",
    "demo/models/",
    "espalier/client/_sync/",  # generated from _async
    "api/static/",
    "benchmarks/results/",
    "tests/architecture/test_prose.py",  # the list itself
    "LICENSE",
    "CODE_OF_CONDUCT.md",  # the Contributor Covenant
)
QUOTED = {
    "docs/explanation/architecture.md": ("look at",),  # the source of a committed diagram
    "tests/services.py": ("nobody",),  # a user of the system
}
OPENING = re.compile(
    r"(?:How|What|Why|When|Where|Who|Whom|Whose|Which|Whether|Is|Are|Does|Do|Can|If|That|Those|These|This|It|There|I|We|You|Our|My"
    r"|Of|By|As|The same|Returns?|Gets?|Sets|Makes?|Reads|Writes?|Holds|Keeps?|Takes?|Gives?|Provides?|Contains?"
    r"|Implements?|Defines?|Handles?|Starts|Stops|Sends?|Loads)\b"
)
"""First words of a clause, a question or a command. Verbs that are nouns as well (start, read, check) are left out."""


def tracked(*suffixes: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in listed if Path(name).suffix in suffixes and (ROOT / name).is_file()]


def words_of(text: str) -> list[tuple[str, str]]:
    """Each word of the list that occurs, with its replacement; a phrase may run over the end of a line of comments."""
    joined = re.sub(r"\s+(?:(?:#:?|//) )?", " ", text)
    return [
        (joined[max(0, match.start() - 30) : match.end() + 30], better)
        for word, better in PLAIN.items()
        for match in re.finditer(rf"\b(?:{word})\b", joined, re.IGNORECASE)
    ]


def names_of_tests() -> list[tuple[str, str]]:
    """Module and name of every test, with spaces in place of underscores."""
    texts = [(name, (ROOT / name).read_text(encoding="utf-8")) for name in tracked(".py") if name.startswith("tests/")]
    return [(name, found.replace("_", " ")) for name, text in texts for found in re.findall(r"def (test_\w+)", text)]


def first_lines() -> list[tuple[str, str]]:
    """Name and first docstring line of every module with code; empty for a module without a docstring."""
    texts = [(name, (ROOT / name).read_text(encoding="utf-8")) for name in tracked(".py")]
    return [(name, match[1] if (match := DOCSTRING.match(text)) else "") for name, text in texts if text.strip()]


def test_pages_and_sources_say_it_plainly() -> None:
    found = [
        (name, text, better)
        for name in tracked(*SUFFIXES)
        if not name.startswith(EXEMPT) and "vendored" not in name
        for text, better in words_of((ROOT / name).read_text(encoding="utf-8", errors="replace"))
        if not any(word in text for word in QUOTED.get(name, ()))
    ]
    assert not found, f"{len(found)} places; each with what to say instead"


def test_names_of_tests_say_it_plainly() -> None:
    assert [(name, found) for name, found in names_of_tests() if words_of(found)] == []


def test_modules_open_with_a_noun_phrase() -> None:
    lines = first_lines()
    assert not [name for name, line in lines if not line and not name.startswith("tests/")], "without a docstring"
    assert [line for line in lines if OPENING.match(line[1]) or line[1].endswith("?")] == []


@pytest.mark.parametrize(
    "text", ["a lock that nobody\n# holds", "Files beside it", "the broker is\n    away", "# what a user is told", "Whoever asks"]
)
def test_a_word_of_the_list_is_found(text: str) -> None:
    assert words_of(text)


@pytest.mark.parametrize("line", ["How a spec says no", "Is the process alive?", "What a page shows", "Reads rows", "Of a model"])
def test_a_clause_is_no_noun_phrase(line: str) -> None:
    assert OPENING.match(line) or line.endswith("?")


@pytest.mark.parametrize("line", ["Reaper of expired leases", "Start of a run", "Read queries about jobs", "Atomic file writes"])
def test_a_noun_phrase_passes(line: str) -> None:
    assert not OPENING.match(line)
